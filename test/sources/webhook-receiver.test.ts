import { Agent } from 'node:http';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { until } from '../support/temp.js';
import { Harness, SECRET, sign } from './webhook-harness.js';

async function listening(options: ConstructorParameters<typeof Harness>[0] = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.receiver.listen();
  return harness;
}

describe('a signed request', () => {
  test('becomes an event, and is answered with its id', async () => {
    const harness = await listening();
    const body = JSON.stringify({ action: 'completed', run: { id: 7 } });
    const reply = await harness.sendSigned({
      path: '/ci?branch=main&branch=dev&__proto__=x',
      body,
      headers: { 'x-github-event': 'workflow_run', 'x-github-delivery': 'd-1', authorization: 'Bearer x' },
    });
    expect(reply).toMatchObject({ status: 202, json: { event: 'event-1' } });
    expect(harness.events()).toEqual([
      {
        type: 'webhook.ci',
        source: 'webhook',
        payload: {
          method: 'POST',
          path: '/ci',
          query: { branch: 'dev' },
          headers: { 'content-type': 'application/json', 'x-github-event': 'workflow_run' },
          body: { action: 'completed', run: { id: 7 } },
          delivery: 'd-1',
        },
      },
    ]);
    expect(harness.receiver.status()).toMatchObject({ listening: true, requests: 1, accepted: 1 });
  });

  test.each([
    ['/deploy/web', 'PUT', 'webhook.deploy.web'],
    ['/poke', 'GET', 'webhook.poke'],
  ])('to %s with %s is %s', async (path, method, type) => {
    const harness = await listening();
    expect(await harness.sendSigned({ path, method })).toMatchObject({ status: 202 });
    expect(await harness.send({ path, method })).toMatchObject({ status: 401 });
    expect(harness.events()).toMatchObject([{ type, payload: { method, body: null } }]);
  });

  test.each([
    ['application/json; charset=utf-8', '[1,"a"]', [1, 'a']],
    ['application/vnd.api+json', 'null', null],
    ['application/x-www-form-urlencoded', `payload=${encodeURIComponent('{"a":"ü +"}')}`, { a: 'ü +' }],
    ['application/x-www-form-urlencoded', 'a=1&b=2', 'a=1&b=2'],
    ['text/plain', 'hällo', 'hällo'],
    ['', '{"a":1}', '{"a":1}'],
  ])('of type %s has its content read', async (type, body, content) => {
    const harness = await listening();
    const reply = await harness.sendSigned({ body, headers: { 'content-type': type } });
    expect(reply.status).toBe(202);
    expect(harness.events()[0]?.payload['body']).toEqual(content);
  });

  test('may come in chunks, and after 100 Continue', async () => {
    const harness = await listening();
    const { socket, received } = harness.connect();
    const head = `POST /ci HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: ${sign('hello')}\r\n`;
    socket.write(`${head}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n`);
    await until('it may go on', () => received().includes('100 Continue'));
    socket.write('2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n');
    await until('the answer', () => received().includes('202 Accepted'));
    expect(harness.events()[0]?.payload['body']).toBe('hello');
  });

  test('shows a copy of its JSON nobody else’s prototype', async () => {
    const harness = await listening();
    const body = '{"__proto__":{"admin":true},"list":[{"__proto__":{"admin":true},"a":1}]}';
    expect((await harness.sendSigned({ body })).status).toBe(202);
    expect(JSON.stringify(harness.events()[0]?.payload['body'])).toBe('{"list":[{"a":1}]}');
  });
});

describe('what is refused', () => {
  test.each([
    ['no signature', {}],
    ['another secret', { 'x-hub-signature-256': sign('{}', `${SECRET}!`) }],
    ['the signature of another body', { 'x-hub-signature-256': sign('{ }') }],
    ['a signature cut short', { 'x-hub-signature-256': sign('{}').slice(0, -2) }],
    ['an empty signature', { 'x-hub-signature-256': 'sha256=' }],
    ['only the old SHA-1', { 'x-hub-signature': 'sha1=0123456789012345678901234567890123456789' }],
    ['two signatures', { 'x-hub-signature-256': `${sign('{}')}, ${sign('{}')}` }],
  ])('%s, in the same words', async (_what, headers) => {
    const harness = await listening();
    const reply = await harness.send({ body: '{}', headers });
    expect(reply).toMatchObject({
      status: 401,
      json: { error: 'The request is not signed with the secret (X-Hub-Signature-256)' },
    });
    expect(harness.events()).toEqual([]);
    expect(harness.receiver.status().rejected).toEqual({ 401: 1 });
  });

  test('unknown paths and methods', async () => {
    const harness = await listening();
    expect(await harness.sendSigned({ path: '/' })).toMatchObject({ status: 404 });
    expect(await harness.sendSigned({ path: '/ci/' })).toMatchObject({ status: 404 });
    expect(await harness.sendSigned({ path: '/%63i' })).toMatchObject({ status: 404 });
    expect(await harness.sendSigned({ method: 'GET' })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
    expect(await harness.sendSigned({ method: 'OPTIONS' })).toMatchObject({ status: 405 });
    expect(await harness.sendSigned({ path: '/health' })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  });

  test('web pages, also those whose name leads to this machine', async () => {
    const harness = await listening();
    const body = '{}';
    for (const headers of [
      { origin: 'https://example.org' },
      { origin: 'null' },
      { host: 'example.org:9471' },
      { host: '127.0.0.1.example.org' },
    ]) {
      expect(await harness.sendSigned({ body, headers }), JSON.stringify(headers)).toMatchObject({
        status: 403,
      });
      expect(await harness.send({ path: '/health', method: 'GET', headers })).toMatchObject({ status: 403 });
    }
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9471', '[::1]:9471', '127.1.2.3']) {
      expect(await harness.sendSigned({ body, headers: { host } }), host).toMatchObject({ status: 202 });
    }
  });

  test.each([
    ['JSON that is none', '{"a":', 'application/json', 400],
    ['JSON that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'application/json', 400],
    ['JSON nested deeply', `${'['.repeat(65)}${']'.repeat(65)}`, 'application/json', 400],
    ['JSON nested beyond all measure', '['.repeat(900_000), 'application/json', 400],
    [
      'objects nested beyond all measure',
      `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      'application/json',
      400,
    ],
    ['a form whose payload is no JSON', 'payload=x', 'application/x-www-form-urlencoded', 400],
  ])('%s', async (_what, body, type, status) => {
    const harness = await listening();
    expect(await harness.sendSigned({ body, headers: { 'content-type': type } })).toMatchObject({ status });
    expect(harness.events()).toEqual([]);
    expect(await harness.sendSigned({ body: '{}' })).toMatchObject({ status: 202 });
  });

  test('compressed bodies and strange delivery ids', async () => {
    const harness = await listening();
    expect(await harness.sendSigned({ body: 'x', headers: { 'content-encoding': 'gzip' } })).toMatchObject({
      status: 415,
    });
    const headers = { 'x-aiwg-delivery': 'x'.repeat(201) };
    expect(await harness.sendSigned({ body: '1', headers })).toMatchObject({ status: 400 });
  });
});

describe('deliveries', () => {
  test('are taken once, also by the receiver after this one', async () => {
    const harness = await listening();
    const again = { body: '{}', headers: { 'x-github-delivery': 'd-1' } };
    expect(await harness.sendSigned(again)).toMatchObject({ status: 202 });
    expect(await harness.sendSigned(again)).toMatchObject({ status: 200, json: { duplicate: true } });
    await harness.receiver.close();
    harness.receiver = harness.make();
    await harness.receiver.listen();
    expect(await harness.sendSigned(again)).toMatchObject({ status: 200, json: { duplicate: true } });
    expect(await harness.sendSigned({ body: '{}', headers: { 'x-aiwg-delivery': 'd-2' } })).toMatchObject({
      status: 202,
    });
    expect(await harness.sendSigned({ body: '{}' })).toMatchObject({ status: 202 });
    expect(await harness.sendSigned({ body: '{}' })).toMatchObject({ status: 202 });
    expect(harness.events()).toHaveLength(4);
    expect(harness.receiver.status()).toMatchObject({ duplicates: 1 });
  });

  test('are forgotten after a day, and the oldest beyond ten thousand', async () => {
    const clock = new FakeClock();
    const harness = await listening({ clock });
    const send = (id: string) => harness.sendSigned({ body: '{}', headers: { 'x-aiwg-delivery': id } });
    expect((await send('first')).status).toBe(202);
    clock.setWall(clock.now() + 24 * 3_600_000 + 1);
    expect((await send('first')).status).toBe(202);
    harness.db.transaction(() => {
      for (let count = 0; count < 9_999; count += 1) {
        harness.db.run(
          'INSERT INTO webhook_deliveries (path, id, at) VALUES (?, ?, ?)',
          '/ci',
          `${count}`,
          clock.now(),
        );
      }
    });
    expect((await send('first')).status).toBe(200);
    expect((await send('one-more')).status).toBe(202);
    expect(harness.db.get('SELECT count(*) AS count FROM webhook_deliveries')).toEqual({ count: 10_000 });
    expect((await send('first')).status).toBe(202);
  });

  test('are not noted when their event cannot be written', async () => {
    const harness = await listening();
    const again = { body: JSON.stringify('x'.repeat(500_000)), headers: { 'x-github-delivery': 'd-1' } };
    const pages = harness.db.get('PRAGMA page_count')?.['page_count'];
    harness.db.exec(`PRAGMA max_page_count = ${Number(pages) + 2}`);
    expect(await harness.sendSigned(again)).toMatchObject({ status: 503, headers: { 'retry-after': '30' } });
    expect(harness.faults.get('webhook_storage')?.message).toMatch('full');
    expect(harness.events()).toEqual([]);
    harness.db.exec('PRAGMA max_page_count = 1000000');
    expect(await harness.sendSigned(again)).toMatchObject({ status: 202 });
    expect(harness.faults.size).toBe(0);
    expect(harness.events()).toHaveLength(1);
  });
});

describe('too many requests', () => {
  test('signed ones wait for their turn', async () => {
    const clock = new FakeClock();
    const harness = await listening({ clock });
    for (let count = 0; count < 60; count += 1)
      expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 202 });
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
    });
    clock.advance(500);
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 202 });
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 429 });
  });

  test('of strangers leave room for signed ones', async () => {
    const harness = await listening({ clock: new FakeClock() });
    const statuses = [];
    for (let count = 0; count < 70; count += 1) {
      const headers = { 'x-hub-signature-256': count % 2 === 0 ? sign('', 'x') : 'none' };
      statuses.push((await harness.send({ body: '', headers })).status);
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(60);
    expect(statuses.filter((status) => status === 429)).toHaveLength(10);
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 202 });
    expect(await harness.send({ path: '/health', method: 'GET' })).toMatchObject({ status: 200 });
  });

  test('to health are refused without harm to others', async () => {
    const harness = await listening({ clock: new FakeClock() });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    let last = 0;
    for (let count = 0; count < 61; count += 1)
      last = (await harness.send({ path: '/health', method: 'GET', agent })).status;
    expect(last).toBe(429);
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 202 });
  });
});

describe('health', () => {
  test('is told to anybody, and nothing else is', async () => {
    const harness = await listening();
    expect(await harness.send({ path: '/health', method: 'GET' })).toMatchObject({
      status: 200,
      text: '{"status":"healthy"}\n',
    });
    harness.health = 'degraded';
    expect(await harness.send({ path: '/health?x', method: 'GET' })).toMatchObject({
      status: 503,
      text: '{"status":"degraded"}\n',
    });
    expect(await harness.send({ path: '/health', method: 'HEAD' })).toMatchObject({ status: 503, text: '' });
  });
});

describe('listening', () => {
  test('does not begin without a secret', async () => {
    for (const [secret, words] of [
      [undefined, 'HOOK_SECRET (webhook.secret_env) is not set'],
      ['', 'HOOK_SECRET (webhook.secret_env) is empty'],
      [' \n', 'is empty'],
    ] as const) {
      const harness = new Harness();
      harness.environment['HOOK_SECRET'] = secret;
      await expect(harness.receiver.listen()).rejects.toMatchObject({
        code: 'START_FAILED',
        message: expect.stringContaining(words),
      });
      expect(harness.receiver.status().listening).toBe(false);
    }
    await expect(new Harness({ secret_env: null }).receiver.listen()).rejects.toThrow('webhook.secret_env');
  });

  test('says what is in the way', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await until('another listens', () => other.listening);
    const { port } = other.address() as { port: number };
    await expect(new Harness({ port }).receiver.listen()).rejects.toThrow(
      `127.0.0.1:${port}: another program listens there`,
    );
    await expect(new Harness({ host: '203.0.113.9' }).receiver.listen()).rejects.toThrow('no such address');
  });

  test('does nothing where it is off', async () => {
    const harness = await listening({ enabled: false });
    expect(harness.receiver.status()).toMatchObject({ enabled: false, listening: false });
  });

  test('works over IPv6', async ({ skip }) => {
    if (
      !Object.values(networkInterfaces())
        .flat()
        .some((one) => one?.address === '::1')
    )
      skip('no IPv6 here');
    const harness = await listening({ host: '::1' });
    expect(await harness.sendSigned({ body: '1' })).toMatchObject({ status: 202 });
    expect(harness.logLines.join('\n')).toContain(`listens on [::1]:${harness.port}`);
  });

  test('beyond this machine is warned of', async () => {
    const harness = await listening({ host: '0.0.0.0' });
    expect(harness.logLines.join('\n')).toContain('Other machines can reach');
    const headers = { host: 'ci.example.org' };
    expect(await harness.sendSigned({ body: '1', headers })).toMatchObject({ status: 202 });
    expect(await harness.send({ body: '1', headers })).toMatchObject({ status: 401 });
  });

  test('goes by a new configuration', async () => {
    const harness = await listening();
    harness.environment['OTHER_SECRET'] = 'another secret 0123456789';
    const { port } = harness;
    const config = { ...harness.config, endpoints: [{ path: '/other', method: 'POST' as const }] };
    await harness.receiver.reconfigure({ ...config, secret_env: 'OTHER_SECRET' });
    expect(harness.port).toBe(port);
    expect(await harness.sendSigned({ path: '/ci' })).toMatchObject({ status: 404 });
    expect(await harness.sendSigned({ path: '/other' })).toMatchObject({ status: 401 });
    const headers = { 'x-hub-signature-256': sign('', 'another secret 0123456789') };
    expect(await harness.send({ path: '/other', headers })).toMatchObject({ status: 202 });

    await expect(harness.receiver.reconfigure({ ...config, secret_env: 'NO_SECRET' })).rejects.toThrow(
      'NO_SECRET',
    );
    await expect(harness.receiver.reconfigure({ ...config, host: '203.0.113.9' })).rejects.toThrow('address');
    expect(harness.receiver.status().listening).toBe(true);
    expect(await harness.send({ path: '/other', headers })).toMatchObject({ status: 202 });

    await harness.receiver.reconfigure({ ...config, enabled: false });
    await expect(harness.sendSigned()).rejects.toThrow('ECONNREFUSED');
    await harness.receiver.reconfigure({ ...config, enabled: true });
    expect(await harness.sendSigned({ path: '/other' })).toMatchObject({ status: 202 });
  });
});

test('no secret and no signature is in a log line or an answer', async () => {
  const harness = await listening();
  const replies = [
    await harness.sendSigned({ body: '{}' }),
    await harness.send({ body: '{}', headers: { 'x-hub-signature-256': sign('{}', 'x') } }),
    await harness.sendSigned({ body: '{' }),
    await harness.send({ path: `/${SECRET.replaceAll(' ', '-')}` }),
  ];
  harness.db.exec('DROP TABLE events');
  replies.push(await harness.sendSigned({ body: '{}' }));
  expect(replies.map(({ status }) => status)).toEqual([202, 401, 400, 404, 503]);
  const said = `${harness.logLines.join('\n')} ${replies.map(({ text }) => text).join('\n')}`;
  expect(said).not.toContain('secret to everybody');
  expect(said).not.toContain('secret-to-everybody');
  expect(said).not.toMatch(/sha256=/);
});
