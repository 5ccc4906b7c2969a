import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { Harness, SECRET, sign } from '../sources/webhook-harness.js';
import { readPage } from './markdown.js';

const page = readPage('docs/webhooks.md');

function blockWith(language: string, words: string): string {
  const block = page.blocks.find((one) => one.language === language && one.text.includes(words));
  expect(block, `a block with ${words}`).toBeDefined();
  return block?.text ?? '';
}

test('the request that is signed by hand is taken', async () => {
  const harness = new Harness();
  await harness.receiver.listen();
  const script = blockWith('sh', 'openssl dgst').replace('127.0.0.1:9471', `127.0.0.1:${harness.port}`);
  const env = { ...process.env, AIWG_WEBHOOK_SECRET: SECRET };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-euc', script], { env });
  expect(stdout).toBe('{"event":"event-1"}\n');
  expect(harness.events()).toMatchObject([
    { type: 'webhook.ci', payload: { body: { branch: 'main', result: 'failed' }, delivery: 'build-17' } },
  ]);
});

test('the check of a signature knows a genuine one', async () => {
  const code = blockWith('js', 'isGenuine');
  const { isGenuine } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    isGenuine: (body: Buffer, header: string | undefined, secret: string) => boolean;
  };
  const body = Buffer.from('{"a":"ü"}');
  expect(isGenuine(body, sign(body), SECRET)).toBe(true);
  expect(isGenuine(body, sign(body), 'another')).toBe(false);
  expect(isGenuine(body, undefined, SECRET)).toBe(false);
});

test('the configuration is valid', () => {
  expect(parseConfig(blockWith('json', 'secret_env'), page.path)).toMatchObject({ ok: true });
});
