import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AutomationStatus } from '#aiwgd/protocol/automation.js';
import { until } from '../support/temp.js';
import { Project } from './support.js';

const FILES = 20_000;
/** Under load it takes its time; what counts is that nothing is missing. */
const PATIENCE_MS = 120_000;
const FOLDERS = 20;

interface Told {
  type: string;
  files: string[];
  count: number;
}

/** A rule for each kind of change whose command keeps the events that it was run for. */
function project(): Project {
  const rule = (kind: string) => ({
    id: kind,
    trigger: { type: 'file_change', pattern: 'data/**', events: [kind] },
    condition: { type: 'debounce', interval_ms: 300 },
    action: { type: 'command', command: ['sh', '-c', 'cat > "told/$AIWG_TASK_ID.json"'] },
    max_per_hour: 1_000,
    // Its command changes none of these files, so what changes while it works is somebody else's.
    allow_self: true,
    max: 1_000,
  });
  const p = new Project({
    config: {
      watch: { paths: ['data/'], debounce_ms: 100 },
      schedule: { enabled: false },
      rules: ['create', 'modify', 'delete'].map(rule),
    },
  });
  mkdirSync(join(p.root, 'told'));
  for (let folder = 0; folder < FOLDERS; folder += 1)
    mkdirSync(join(p.root, 'data', String(folder)), { recursive: true });
  return p;
}

function fileNames(prefix = ''): string[] {
  return Array.from({ length: FILES }, (_, index) => `data/${index % FOLDERS}/${prefix}${index}.txt`);
}

/** Every path that the rules' commands were told of, by kind of change. */
function told(p: Project): Record<string, string[]> {
  const all: Record<string, string[]> = { 'file.create': [], 'file.modify': [], 'file.delete': [] };
  for (const name of readdirSync(join(p.root, 'told'))) {
    const text = readFileSync(join(p.root, 'told', name), 'utf8');
    // One that is just being written comes whole at the next look.
    if (!text.endsWith('\n')) continue;
    const { type, files } = JSON.parse(text) as Told;
    all[type]?.push(...files);
  }
  return all;
}

/** Waits until `count` paths were told for this kind, and no run is at work or waits any more. */
async function untilSettled(p: Project, kind: string, count: number): Promise<string[]> {
  const client = await p.connect();
  await until(
    `${count} paths are told as ${kind}`,
    async () => {
      const { rules }: AutomationStatus = await client.automation.status();
      return (
        rules.every(({ running, waiting }) => running + waiting === 0) &&
        (told(p)[kind]?.length ?? 0) >= count
      );
    },
    PATIENCE_MS,
  );
  return told(p)[kind] ?? [];
}

describe('a burst of 20,000 changes', { timeout: PATIENCE_MS }, () => {
  it('is told exactly, while the daemon is stopped by SIGSTOP, and renamed and deleted too', async () => {
    const p = project();
    const daemon = await p.start();
    const names = fileNames();
    process.kill(daemon.pid, 'SIGSTOP');
    for (const name of names) writeFileSync(join(p.root, name), 'x');
    process.kill(daemon.pid, 'SIGCONT');
    expect((await untilSettled(p, 'file.create', FILES)).toSorted()).toEqual(names.toSorted());
    const renamed = fileNames('new-');
    for (const [index, name] of names.entries())
      renameSync(join(p.root, name), join(p.root, String(renamed[index])));
    expect((await untilSettled(p, 'file.delete', FILES)).toSorted()).toEqual(names.toSorted());
    const created = (await untilSettled(p, 'file.create', 2 * FILES)).toSorted();
    expect(created).toEqual([...names, ...renamed].toSorted());
    rmSync(join(p.root, 'data'), { recursive: true });
    const deleted = (await untilSettled(p, 'file.delete', 2 * FILES)).toSorted();
    expect(deleted).toEqual([...names, ...renamed].toSorted());
    expect(told(p)['file.modify']).toEqual([]);
  });

  it('is told exactly over kill -9 of the daemon in its middle, again and again, and a restart', async () => {
    const p = project();
    await p.start();
    const names = fileNames();
    const quarter = FILES / 4;
    for (let part = 0; part < 4; part += 1) {
      for (const name of names.slice(part * quarter, (part + 1) * quarter))
        writeFileSync(join(p.root, name), 'x');
      if (part === 3) {
        await p.ok(['restart']);
        continue;
      }
      // At another moment of its work each time: when some, but not all, has been taken in.
      const client = await p.connect();
      await until(
        'some of it was taken in',
        async () => (await client.event.history({ topic: 'file.create', limit: 1 })).length > 0,
      );
      await p.kill();
      await p.start();
    }
    expect((await untilSettled(p, 'file.create', FILES)).toSorted()).toEqual(names.toSorted());
    for (const name of names) writeFileSync(join(p.root, name), 'changed');
    await p.kill();
    await p.start();
    expect((await untilSettled(p, 'file.modify', FILES)).toSorted()).toEqual(names.toSorted());
    expect(told(p)['file.create']).toHaveLength(FILES);
  });
});
