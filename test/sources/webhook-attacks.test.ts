import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { until } from '../support/temp.js';
import { Harness, sign } from './webhook-harness.js';

async function listening(options: ConstructorParameters<typeof Harness>[0] = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.receiver.listen();
  return harness;
}

/** It still does what it is for. */
async function expectAtWork(harness: Harness): Promise<void> {
  expect(await harness.sendSigned({ body: '{"still":"here"}' })).toMatchObject({ status: 202 });
}

const SIGNED = `X-Hub-Signature-256: ${sign('')}\r\n`;

test('a body of 10 MB is not read to its end, whatever it says of its length', async () => {
  const harness = await listening();
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  for (const framing of ['Content-Length: 10485760', 'Transfer-Encoding: chunked']) {
    const { socket, received, closed } = harness.connect();
    socket.write(`POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}${framing}\r\n\r\n`);
    let sent = 0;
    while (sent < 10 && !received().includes('413 Payload Too Large')) {
      if (framing.startsWith('Transfer')) socket.write('100000\r\n');
      socket.write(megabyte);
      if (framing.startsWith('Transfer')) socket.write('\r\n');
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the refusal', () => received().includes('413 Payload Too Large'));
    await closed;
    expect(socket.bytesWritten).toBeLessThan(11 * 1024 * 1024);
    expect(received()).toContain('Connection: close');
  }
  await expectAtWork(harness);
});

test('a body without a signature is not waited for', async () => {
  const harness = await listening();
  const { socket, received, closed } = harness.connect();
  socket.write('POST /ci HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n');
  await closed;
  expect(received()).toContain('401 Unauthorized');
  await expectAtWork(harness);
});

test('a body longer than it claims is no further request', async () => {
  const harness = await listening();
  const { socket, received, closed } = harness.connect();
  const head = `POST /ci HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: ${sign('{}')}\r\n`;
  socket.write(`${head}Content-Length: 2\r\n\r\n{}{"more":"of it"}`);
  await closed;
  expect(received()).toMatch(/^HTTP\/1\.1 202 Accepted/);
  expect(received().match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(harness.events()).toHaveLength(1);
  await expectAtWork(harness);
});

test('headers that smuggle a second request are refused', async () => {
  const harness = await listening();
  const { socket, received, closed } = harness.connect();
  socket.write(
    `POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  );
  await closed;
  expect(received()).toMatch(/^HTTP\/1\.1 400/);
  expect(harness.events()).toEqual([]);
});

test('whoever sends slowly is cut off', async () => {
  const clock = new FakeClock();
  const harness = await listening({ clock });
  const silent = harness.connect();
  const headers = harness.connect();
  headers.socket.write('POST /ci HTTP/1.1\r\nHost: loc');
  await until('both are there', () => harness.receiver.status().connections === 2);
  clock.advance(5_000);
  await Promise.all([silent.closed, headers.closed]);

  const body = harness.connect();
  body.socket.write(`POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}Content-Length: 100\r\n\r\nx`);
  await until('the request is there', () => harness.receiver.status().requests === 1);
  clock.advance(9_999);
  body.socket.write('x');
  clock.advance(1);
  await until('the refusal', () => body.received().includes('408 Request Timeout'));
  clock.advance(250);
  await body.closed;
  await expectAtWork(harness);
});

test('whoever keeps a connection without using it is cut off', async () => {
  const clock = new FakeClock();
  const harness = await listening({ clock });
  const { socket, received, closed } = harness.connect();
  for (const count of [1, 2, 3]) {
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until('an answer', () => received().match(/"status"/g)?.length === count);
    clock.advance(4_000);
  }
  expect(socket.destroyed).toBe(false);
  clock.advance(1_000);
  await closed;
});

test('garbage is answered and closed', async () => {
  const harness = await listening();
  for (const garbage of [
    randomBytes(64 * 1024),
    Buffer.from('\0\0\0\0\r\n\r\n'),
    Buffer.from('GET  HTTP/9.9\r\n\r\n'),
    Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1'),
    Buffer.from('GET /health HTTP/1.1\r\n\r\n'),
    Buffer.from(`GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
  ]) {
    const { socket, received, closed } = harness.connect();
    socket.write(garbage);
    await closed;
    expect(received()).toMatch(/^(HTTP\/1\.1 4(00|31) |$)/);
  }
  expect(harness.events()).toEqual([]);
  await expectAtWork(harness);
});

test('garbage within a body, or its early end, is answered and closed', async () => {
  const harness = await listening();
  const head = `POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}`;
  const chunk = harness.connect();
  chunk.socket.write(`${head}Transfer-Encoding: chunked\r\n\r\nno length\r\n`);
  const half = harness.connect();
  half.socket.end(`${head}Content-Length: 10\r\n\r\nhalf`);
  for (const { received, closed } of [chunk, half]) {
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 400/);
  }
  expect(harness.receiver.status().connections).toBe(0);
  expect(harness.events()).toEqual([]);
});

test('other protocols over the port are not served', async () => {
  const harness = await listening();
  const connect = harness.connect();
  connect.socket.write('CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await connect.closed;
  const absolute = harness.connect();
  absolute.socket.write(
    'GET http://example.org/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  );
  await absolute.closed;
  expect(absolute.received()).toMatch(/^HTTP\/1\.1 404/);
  const upgrade = harness.connect();
  upgrade.socket.write(
    'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  await until('an answer', () => upgrade.received().includes('"status"'));
  expect(upgrade.received()).toMatch(/^HTTP\/1\.1 200/);
});

test('requests in one go are answered in order', async () => {
  const harness = await listening();
  const { socket, received } = harness.connect();
  const one = (id: number): string => {
    const head = `POST /ci HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: ${sign(`${id}`)}\r\n`;
    return `${head}X-AIWG-Delivery: d-${id}\r\nContent-Length: 1\r\n\r\n${id}`;
  };
  socket.write([1, 2, 3, 4, 5].map(one).join(''));
  await until('five answers', () => received().match(/"event-\d"/g)?.length === 5);
  expect(received().match(/event-\d/g)).toEqual(['event-1', 'event-2', 'event-3', 'event-4', 'event-5']);
  expect(harness.events().map(({ payload }) => payload['body'])).toEqual(['1', '2', '3', '4', '5']);
});

test('many connections leave room for one that has something to say', async () => {
  const harness = await listening();
  const idle = Array.from({ length: 150 }, () => harness.connect());
  await until('the newest are there', () => harness.receiver.status().connections === 100);
  await expectAtWork(harness);
  await Promise.all(idle.slice(0, 40).map(({ closed }) => closed));
  expect(harness.receiver.status().connections).toBeLessThanOrEqual(100);
});

test('many large bodies at once are bounded together', async () => {
  const harness = await listening();
  const senders = Array.from({ length: 20 }, () => harness.connect());
  for (const { socket } of senders) {
    socket.write(`POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}Content-Length: 1048576\r\n\r\n`);
    socket.write(Buffer.alloc(1_000_000, 'x'));
  }
  await until(
    'some are refused',
    () => senders.filter(({ received }) => received().includes(' 503 ')).length >= 3,
  );
  for (const { socket } of senders) socket.destroy();
  await until('they are gone', () => harness.receiver.status().connections === 0);
  await expectAtWork(harness);
});

test('a sender that hangs up leaves nothing behind', async () => {
  const harness = await listening();
  const { socket } = harness.connect();
  socket.write(`POST /ci HTTP/1.1\r\nHost: localhost\r\n${SIGNED}Content-Length: 100\r\n\r\nx`);
  await until('the request is there', () => harness.receiver.status().requests === 1);
  socket.resetAndDestroy();
  await until('it is gone', () => harness.receiver.status().connections === 0);
  await expectAtWork(harness);
});

test('closing finishes what is in flight, and waits for nobody for long', async () => {
  const clock = new FakeClock();
  const harness = await listening({ clock });
  const idle = harness.connect();
  const quick = harness.connect();
  const slow = harness.connect();
  const head = `POST /ci HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: ${sign('{}')}\r\nContent-Length: 2\r\n\r\n`;
  quick.socket.write(`${head}{`);
  slow.socket.write(`${head}{`);
  await until('all are there', () => {
    const { connections, requests } = harness.receiver.status();
    return connections === 3 && requests === 2;
  });
  let closed = false;
  const close = async (): Promise<void> => {
    await harness.receiver.close();
    closed = true;
  };
  const closing = close();
  onTestFinished(() => closing);
  await idle.closed;
  quick.socket.write('}');
  await quick.closed;
  expect(quick.received()).toMatch(/^HTTP\/1\.1 202/);
  expect(closed).toBe(false);
  await expect(harness.sendSigned()).rejects.toThrow('ECONNREFUSED');
  clock.advance(2_000);
  await slow.closed;
  await closing;
  expect(harness.events()).toHaveLength(1);
  expect(clock.pending).toBe(0);
});
