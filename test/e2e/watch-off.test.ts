import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/temp.js';
import { Project } from './support.js';

const config = (enabled: boolean) => ({
  schedule: { enabled: false },
  watch: { enabled, paths: ['src/'], debounce_ms: 50 },
});

it('does not catch up with what changed while watching was switched off', async () => {
  const p = new Project({ config: config(true) });
  const write = (name: string, text: string): void => writeFileSync(join(p.root, 'src', name), text);
  mkdirSync(join(p.root, 'src'));
  write('a', '1');
  await p.start();
  await p.ok(['stop']);
  p.configure(config(false));
  await p.start();
  write('a', '22');
  write('b', '1');
  await p.ok(['stop']);
  p.configure(config(true));
  await p.start();
  write('c', '1');
  const client = await p.connect();
  const told = async (): Promise<unknown[]> =>
    (await client.event.history({ topic: 'file.*', limit: 10 })).map(({ payload }) => payload['path']);
  await until('the last change is told', async () => (await told()).includes('src/c'));
  expect(await told()).toEqual(['src/c']);
});
