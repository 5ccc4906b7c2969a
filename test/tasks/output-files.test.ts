import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputFiles } from '#aiwgd/tasks/output-files.js';
import { temporaryFolder } from './open-store.js';

const TASK = { taskId: 'task-0001', attempt: 1, stream: 'stdout' } as const;

function filesWith(content: string | Uint8Array) {
  const files = new OutputFiles({ actionsDir: join(temporaryFolder(), 'actions') });
  const paths = files.paths('task-0001', 1);
  mkdirSync(paths.folder, { recursive: true });
  writeFileSync(paths.stdout, content);
  return { files, paths };
}

/** Reads to the end in pieces, as a client does. */
async function readAll(files: OutputFiles, limit: number): Promise<string> {
  let text = '';
  let offset = 0;
  for (;;) {
    const slice = await files.read({ ...TASK, offset, limit, ended: true });
    expect(slice.nextOffset > offset || slice.eof).toBe(true);
    text += slice.data;
    offset = slice.nextOffset;
    if (slice.eof) return text;
  }
}

describe('OutputFiles', () => {
  it('refuses what is no task and no attempt', async () => {
    const { files } = filesWith('');
    for (const id of ['../x', 'task-1', 'task-0001/../..', '', 'task-0001\n']) {
      expect(() => files.paths(id, 1)).toThrowError(expect.objectContaining({ code: 'INVALID_PARAMS' }));
      await expect(files.remove(id)).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    }
    expect(() => files.paths('task-0001', 0)).toThrowError(/counted from 1/);
  });

  it('reads any text whole, in pieces of any size', async () => {
    const { files, paths } = filesWith('');
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary' }),
        fc.integer({ min: 0, max: 20 }),
        async (text, limit) => {
          writeFileSync(paths.stdout, text);
          expect(await readAll(files, limit)).toBe(Buffer.from(text).toString());
        },
      ),
      { numRuns: 50 },
    );
  });

  it('gets past any bytes, and says of them what a decoder would', async () => {
    const { files, paths } = filesWith('');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        writeFileSync(paths.stdout, bytes);
        expect(await readAll(files, 1000)).toBe(Buffer.from(bytes).toString());
        await readAll(files, 1);
      }),
      { numRuns: 50 },
    );
  });

  it('waits for the rest of a character while the attempt runs', async () => {
    const euro = Buffer.from('€');
    const { files, paths } = filesWith(Buffer.concat([Buffer.from('a'), euro.subarray(0, 2)]));
    const read = (offset: number, ended: boolean) => files.read({ ...TASK, offset, limit: 100, ended });
    expect(await read(0, false)).toEqual({ data: 'a', nextOffset: 1, eof: false });
    expect(await read(1, false)).toEqual({ data: '', nextOffset: 1, eof: false });
    expect(await read(1, true)).toEqual({ data: '\u{fffd}', nextOffset: 3, eof: true });
    appendFileSync(paths.stdout, euro.subarray(2));
    expect(await read(1, false)).toEqual({ data: '€', nextOffset: 4, eof: false });
    expect(await read(4, true)).toEqual({ data: '', nextOffset: 4, eof: true });
  });

  it('gives the end of the output from a whole character on', async () => {
    const { files } = filesWith('xx€€');
    expect(await files.tail('task-0001', 1, 5)).toBe('€');
    expect(await files.tail('task-0001', 1, 6)).toBe('€€');
    expect(await files.tail('task-0001', 1, 100)).toBe('xx€€');
    expect(await files.tail('task-0001', 1, 0)).toBe('');
  });

  it('takes a missing file for an empty one', async () => {
    const { files } = filesWith('x');
    const missing = { ...TASK, attempt: 2, offset: 0, limit: 10 };
    expect(await files.read({ ...missing, ended: false })).toEqual({ data: '', nextOffset: 0, eof: false });
    expect(await files.read({ ...missing, ended: true })).toEqual({ data: '', nextOffset: 0, eof: true });
    expect(await files.tail('task-0009', 1, 10)).toBe('');
    expect(await files.size('task-0009', 1)).toBe(0);
    await files.remove('task-0001');
    await files.remove('task-0001');
    expect(await files.size('task-0001', 1)).toBe(0);
  });

  it('neither waits for nor follows what an agent put in the place of its file', async () => {
    const { files, paths } = filesWith('x');
    const secret = join(paths.folder, '..', 'secret');
    writeFileSync(secret, 'secret');
    const replacements = [
      () => spawnSync('mkfifo', [paths.stdout]),
      () => symlinkSync(secret, paths.stdout),
      () => symlinkSync(paths.stdout, paths.stdout),
      () => mkdirSync(paths.stdout),
    ];
    for (const replace of replacements) {
      rmSync(paths.stdout, { recursive: true });
      replace();
      const slice = await files.read({ ...TASK, offset: 0, limit: 10, ended: true });
      expect(slice).toEqual({ data: '', nextOffset: 0, eof: true });
      expect(await files.tail('task-0001', 1, 10)).toBe('');
      expect(await files.size('task-0001', 1)).toBe(0);
    }
  });
});
