import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { WebhookError } from '#aiwgd/automation/webhook-error.js';
import { sendWebhook, type WebhookDeps, type WebhookRequest } from '#aiwgd/automation/webhook-request.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { until } from '../support/temp.js';

interface Received {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A receiver on loopback that answers as told, and remembers what it got. */
async function receiver(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<{ port: number; origin: string; received: Received[]; closedEarly: () => boolean }> {
  const received: Received[] = [];
  let closedEarly = false;
  const server = createServer((request, response) => {
    response.on('close', () => {
      closedEarly ||= !response.writableFinished;
    });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      answer(response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await until('it listens', () => server.listening);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, origin: `http://127.0.0.1:${port}`, received, closedEarly: () => closedEarly };
}

function send(request: Partial<WebhookRequest> & { url: string }, deps: Partial<WebhookDeps> = {}) {
  return sendWebhook(
    { body: '{}', secret: null, delivery: 'd-1', allowPrivate: true, ...request },
    { clock: systemClock, version: '1.2.3', ...deps },
  );
}

async function failure(sent: Promise<unknown>): Promise<WebhookError> {
  const error = await sent.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'WebhookError' });
  return error as WebhookError;
}

const ok = (response: ServerResponse): void => void response.end('fine');

describe('a webhook', () => {
  test('is posted with its signature', async () => {
    const { origin, received } = await receiver(ok);
    const body = JSON.stringify({ text: 'grüße' });
    expect(await send({ url: `${origin}/hook?key=1`, body, secret: 'abc' })).toEqual({ status: 200 });
    expect(received).toMatchObject([
      {
        method: 'POST',
        url: '/hook?key=1',
        body,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'aiwgd/1.2.3',
          'x-aiwg-delivery': 'd-1',
          'x-hub-signature-256': `sha256=${createHmac('sha256', 'abc').update(body).digest('hex')}`,
          'content-length': String(Buffer.byteLength(body)),
        },
      },
    ]);
  });

  test('without a secret has no signature', async () => {
    const { origin, received } = await receiver((response) => void response.writeHead(204).end());
    expect(await send({ url: origin })).toEqual({ status: 204 });
    expect(received[0]?.headers).not.toHaveProperty('x-hub-signature-256');
  });

  test.each([
    [400, false],
    [401, false],
    [404, false],
    [408, true],
    [410, false],
    [425, true],
    [429, true],
    [500, true],
    [503, true],
  ])('answered with %i: trying again could help: %s', async (status, retryable) => {
    const { origin } = await receiver((response) => void response.writeHead(status).end());
    expect(await failure(send({ url: origin }))).toMatchObject({
      retryable,
      message: `The webhook ${origin}/ was answered with HTTP ${status}`,
    });
  });

  test('does not follow redirects', async () => {
    const target = await receiver(ok);
    const { origin } = await receiver(
      (response) => void response.writeHead(307, { location: `${target.origin}/metadata` }).end(),
    );
    const error = await failure(send({ url: origin }));
    expect(error).toMatchObject({
      retryable: false,
      message: expect.stringContaining('redirects are not followed'),
    });
    expect(target.received).toEqual([]);
  });

  test.each([
    ['120', 120_000],
    ['0', 0],
    ['999999999', 3_600_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thu, 01 Jan 2025 00:01:00 GMT', 0],
    ['soon', null],
  ])('is told by Retry-After %s to wait for %s ms', async (value, retryAfterMs) => {
    const { origin } = await receiver(
      (response) => void response.writeHead(429, { 'retry-after': value }).end(),
    );
    expect(await failure(send({ url: origin }, { clock: new FakeClock() }))).toMatchObject({ retryAfterMs });
  });

  test('reads no more of an answer than it must', async () => {
    const { origin, closedEarly } = await receiver((response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
        response.once('drain', more);
      };
      more();
    });
    expect(await send({ url: origin })).toEqual({ status: 200 });
    await until('it has hung up', closedEarly);
  });
});

describe('what goes wrong on the way', () => {
  test('a receiver that never answers', async () => {
    const clock = new FakeClock();
    const { origin, received, closedEarly } = await receiver(() => undefined);
    const sent = failure(send({ url: origin }, { clock }));
    await until('it was received', () => received.length === 1);
    clock.advance(10_000);
    expect(await sent).toMatchObject({
      retryable: true,
      message: expect.stringContaining('within 10000 ms'),
    });
    await until('the connection is gone', closedEarly);
    expect(clock.pending).toBe(0);
  });

  test('an answer that never ends', async () => {
    const clock = new FakeClock();
    const { origin, received } = await receiver((response) => void response.write('so far'));
    const sent = send({ url: origin, timeoutMs: 500 }, { clock });
    await until('it was received', () => received.length === 1);
    let done = false;
    const ended = sent.finally(() => {
      done = true;
    });
    await until('it has ended', () => {
      clock.advance(100);
      return done;
    });
    // Of a status that came in time, the end does not matter.
    expect(await ended.catch((error: WebhookError) => error.retryable)).toSatisfy(
      (outcome) => outcome === true || (outcome as { status: number }).status === 200,
    );
  });

  test('a search for a name that never ends', async () => {
    const clock = new FakeClock();
    const sent = failure(
      send({ url: 'http://example.org/' }, { clock, resolve: () => new Promise(() => undefined) }),
    );
    clock.advance(10_000);
    expect(await sent).toMatchObject({ retryable: true });
  });

  test('a port where nobody listens, and a name that nobody has', async () => {
    const { origin } = await receiver(ok);
    const error = await failure(send({ url: origin.replace(/\d+$/, '1') }));
    expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('ECONNREFUSED') });
    const resolve = () => Promise.reject(new Error('getaddrinfo ENOTFOUND'));
    expect(await failure(send({ url: 'http://nowhere.example/' }, { resolve }))).toMatchObject({
      retryable: true,
      message: expect.stringContaining('no address was found for nowhere.example'),
    });
  });

  test('a sender that gives up', async () => {
    const { origin, received, closedEarly } = await receiver(() => undefined);
    const stop = new AbortController();
    const sent = failure(send({ url: origin, signal: stop.signal }));
    await until('it was received', () => received.length === 1);
    stop.abort();
    expect(await sent).toMatchObject({ retryable: false });
    await until('the connection is gone', closedEarly);
    expect(await failure(send({ url: origin, signal: stop.signal }))).toMatchObject({ retryable: false });
    expect(received).toHaveLength(1);
  });

  test('a connection that is cut', async () => {
    const { origin } = await receiver((response) => void response.destroy());
    expect(await failure(send({ url: origin }))).toMatchObject({ retryable: true });
  });
});

describe('private addresses', () => {
  test.each([
    'http://127.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f000001:PORT/',
    'http://0x7f.1:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://017700000001:PORT/',
    'http://127.1:PORT/',
    'http://0:PORT/',
    'http://127。0。0。1:PORT/',
    'http://①②⑦.0.0.1:PORT/',
    'http://[::1]:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::ffff:7f00:1]:PORT/',
    'http://[::]:PORT/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
  ])('%s is refused', async (template) => {
    const { port, received } = await receiver(ok);
    const error = await failure(send({ url: template.replace('PORT', String(port)), allowPrivate: false }));
    expect(error).toMatchObject({
      retryable: false,
      message: expect.stringContaining('"allow_private": true'),
    });
    expect(received).toEqual([]);
  });

  test('a name is refused when one of its addresses is private', async () => {
    const resolve = () =>
      Promise.resolve([
        { address: '8.8.8.8', family: 4 },
        { address: '10.1.2.3', family: 4 },
      ]);
    const error = await failure(
      send({ url: 'https://hooks.example.org/', allowPrivate: false }, { resolve }),
    );
    expect(error.message).toContain('hooks.example.org has the address 10.1.2.3');
    expect(error.retryable).toBe(false);
  });

  test('a name is asked for once, and only what it said then is connected to', async () => {
    const { port, received } = await receiver(ok);
    const asked: string[] = [];
    const resolve = (name: string) => {
      asked.push(name);
      return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    };
    expect(await send({ url: `http://hooks.example.org:${port}/` }, { resolve })).toEqual({ status: 200 });
    expect(asked).toEqual(['hooks.example.org']);
    expect(received[0]?.headers.host).toBe(`hooks.example.org:${port}`);
  });
});

describe('URLs', () => {
  test.each(['ftp://example.org/', 'file:///etc/passwd', 'example.org', '', 'http://'])(
    '%s is none',
    async (url) => {
      expect(await failure(send({ url }))).toMatchObject({ retryable: false });
    },
  );

  test('with a user or password are refused, and not shown', async () => {
    const error = await failure(send({ url: 'https://someone:pass1234@example.org/a?b' }));
    expect(error.retryable).toBe(false);
    expect(error.message).not.toMatch(/pass1234|someone/);
  });

  test('are shown without what may be secret in them', async () => {
    const { origin } = await receiver((response) => void response.writeHead(500).end());
    const error = await failure(
      send({ url: `${origin}/hook?token=tttttttt#x`, secret: 'ssssssss', body: '{"a":"bbbbbbbb"}' }),
    );
    expect(`${error.stack} ${String(error.cause)}`).not.toMatch(/tttttttt|ssssssss|bbbbbbbb/);
    const resolve = () => Promise.reject(new Error('ENOTFOUND'));
    const slack = 'https://hooks.slack.com/services/T00000000/B00000000/abcdefghijkl';
    expect((await failure(send({ url: slack }, { resolve }))).message).not.toContain('abcdefghijkl');
  });
});
