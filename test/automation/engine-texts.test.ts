import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../support/temp.js';
import { Rig } from './engine-rig.js';

const ON_GO = { type: 'event', topic: 'go' };
const NASTY = 'a\0b"; rm -rf / #\n{{payload.secret}} ${HOME} $(id) \ud800 -- \u202eevil\u001b[2J';

function unseenIn(text: string): string[] {
  return ['\0', '\n', '\u001b', '\u202e', '\ud800'].filter((character) => text.includes(character));
}

test('text from outside is data everywhere: shown or escaped, never filled in, never expanded', async () => {
  const rig = await Rig.open({
    rules: [
      {
        id: 'all',
        trigger: ON_GO,
        actions: [
          { type: 'submit_task', prompt: 'See {{payload.text}}', env: { FROM: '${SAFE}' }, wait: false },
          { type: 'notify', message: '{{payload.text}}' },
          {
            type: 'emit',
            topic: 'copy',
            payload: { whole: '{{payload.text}}', within: 'x{{payload.text}}' },
          },
        ],
      },
      { id: 'nul', trigger: ON_GO, action: { type: 'command', command: ['./x', '--', '{{payload.text}}'] } },
    ],
  });
  rig.publish('go', { text: NASTY, secret: 'hidden', path: '--help' });
  await rig.reopen();
  const [task] = rig.tasks.all;
  expect(unseenIn(task!.prompt)).toEqual([]);
  expect(JSON.parse(task!.prompt.slice('See '.length))).toBe(NASTY);
  expect(task!.launch).toMatchObject({
    env: { FROM: '${SAFE}' },
    event: { payload: { text: NASTY } },
    literals: { AIWG_EVENT_TEXT: NASTY.replace('\0', '') },
  });
  const message = rig.topics(/^notify/)[0]!.payload['message'] as string;
  expect(message).toContain('{{payload.secret}} ${HOME} $(id)');
  expect(unseenIn(message)).toEqual([]);
  expect(rig.topics(/^copy$/)[0]!.payload).toEqual({ whole: NASTY, within: `x${NASTY}` });
  expect(rig.letters()).toMatchObject([
    {
      subscriber: 'rule:nul',
      attempts: 1,
      error: '{{payload.text}} holds a NUL character, which no argument of a program can.',
    },
  ]);
});

test('an argument is what it is, and never an option; each file is one', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'file_change', pattern: '**' },
        condition: { type: 'debounce', interval_ms: 10 },
        action: { type: 'command', command: ['./x', '--', '{{files}}', '{{payload.path}}'] },
      },
    ],
  });
  const names = ['--help', '$(id).ts', 'a b\n"c".ts', '{{payload.x}}.ts'];
  for (const name of names) rig.change(name);
  await rig.pass(10);
  expect(rig.tasks.all[0]!.launch.command).toEqual(['./x', '--', ...names, names.at(-1)]);
});

test('property: a prompt says of any text exactly that text', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        action: { type: 'submit_task', prompt: 'A {{payload.t}} B', wait: false },
        max_per_hour: 1_000,
      },
    ],
  });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      rig.publish('go', { t: text });
      await rig.idle(2);
      const { prompt } = rig.tasks.all.at(-1)!;
      expect(JSON.parse(prompt.slice(2, -2))).toBe(text);
    }),
    { numRuns: 50 },
  );
});

async function receiver(answer: (count: number) => number) {
  const heard: { headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      heard.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(answer(heard.length)).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  onTestFinished(() => server.closeAllConnections());
  return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=t` };
}

test('a webhook is signed and has the event; it is tried again after a 500, not after a 400', async () => {
  const flaky = await receiver((count) => (count < 3 ? 500 : 204));
  const strict = await receiver(() => 400);
  const rig = await Rig.open({
    environment: { HOOK_SECRET: 's3cret' },
    rules: [
      {
        id: 'flaky',
        trigger: ON_GO,
        action: { type: 'webhook', url: flaky.url, secret_env: 'HOOK_SECRET', allow_private: true },
      },
      { id: 'strict', trigger: ON_GO, action: { type: 'webhook', url: strict.url, allow_private: true } },
      { id: 'refused', trigger: ON_GO, action: { type: 'webhook', url: strict.url } },
    ],
  });
  rig.publish('go', { text: NASTY });
  await until('the receiver has heard it three times', async () => {
    await rig.pass(500);
    return flaky.heard.length === 3 && !rig.states().includes('running');
  });
  expect(new Set(flaky.heard.map(({ headers }) => headers['x-aiwg-delivery'])).size).toBe(1);
  const { headers, body } = flaky.heard[2]!;
  const signature = createHmac('sha256', 's3cret').update(body).digest('hex');
  expect(headers['x-hub-signature-256']).toBe(`sha256=${signature}`);
  expect(JSON.parse(body)).toMatchObject({
    owner: 'rule:flaky',
    event: { type: 'go', payload: { text: NASTY } },
  });
  expect(strict.heard).toHaveLength(1);
  expect(new Set(rig.letters().map(({ subscriber, attempts }) => `${subscriber} ${attempts}`))).toEqual(
    new Set(['rule:refused 1', 'rule:strict 1']),
  );
  expect(JSON.stringify([rig.letters(), rig.trace('strict')])).not.toMatch(/token=t|s3cret/);
});

test('a webhook that nobody takes is tried four times', async () => {
  const down = await receiver(() => 503);
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, action: { type: 'webhook', url: down.url, allow_private: true } }],
  });
  rig.publish('go');
  await until('the letter is there', async () => {
    await rig.pass(500);
    return rig.letters().length === 1;
  });
  expect(down.heard).toHaveLength(4);
  expect(rig.letters()).toMatchObject([{ attempts: 4, error: expect.stringContaining('HTTP 503') }]);
});
