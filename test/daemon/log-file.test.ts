import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LogFile } from '#aiwgd/daemon/log-file.js';
import { tempFolder } from '../support/temp.js';

function open(options: Partial<ConstructorParameters<typeof LogFile>[0]> = {}) {
  const folder = tempFolder();
  const path = join(folder, 'daemon.log');
  const faults: (string | undefined)[] = [];
  const file = new LogFile({
    path,
    maxBytes: 1000,
    maxFiles: 3,
    onFault: (error) => faults.push(error?.message),
    ...options,
  });
  onTestFinished(() => file.close());
  return { file, path, folder, faults };
}

/** A file system of its own; where this machine does not let us mount, the test is skipped. */
function smallDisk(skip: (note: string) => void, size: string): string {
  const folder = tempFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
    onTestFinished(() => void execFileSync('umount', [folder]));
  } catch {
    skip('mounting a small file system needs root');
  }
  return folder;
}

function linesOf(path: string, maxFiles: number): string[] {
  const files = [];
  for (let n = maxFiles; n >= 1; n -= 1) files.push(`${path}.${n}`);
  return [...files, path]
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean));
}

describe('the log file', () => {
  it('keeps every line through rotations, in order, and no file over its size', () => {
    const base = tempFolder();
    let run = 0;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 }), (lengths) => {
        const folder = join(base, String((run += 1)));
        mkdirSync(folder);
        const path = join(folder, 'daemon.log');
        const file = new LogFile({ path, maxBytes: 500, maxFiles: 100, onFault: () => {} });
        const written = lengths.map((length, n) => `${n}:${'x'.repeat(length)}`);
        for (const line of written) file.write(`${line}\n`);
        file.close();
        expect(linesOf(path, 100)).toEqual(written);
        for (const name of readdirSync(folder))
          expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(500);
      }),
      { numRuns: 50 },
    );
  });

  it('begins anew where somebody deleted the file', () => {
    const { file, path, faults } = open();
    file.write('before\n');
    rmSync(path);
    file.write('after\n');
    expect(readFileSync(path, 'utf8')).toBe('after\n');
    expect(faults).toEqual([]);
  });

  it('goes on where the file was moved away, as after a rotation that came no further', () => {
    const { file, path, faults } = open();
    file.write(`${'a'.repeat(900)}\n`);
    renameSync(path, `${path}.1`);
    for (let n = 0; n < 3; n += 1) file.write(`${'b'.repeat(400)}\n`);
    expect(faults).toEqual([]);
    expect(linesOf(path, 3).map((line) => line.length)).toEqual([900, 400, 400, 400]);
  });

  it('keeps as many rotated files as asked for, and fewer after a change', () => {
    const { file, folder } = open();
    for (let n = 0; n < 30; n += 1) file.write(`${'x'.repeat(400)}\n`);
    expect(readdirSync(folder).toSorted()).toEqual([
      'daemon.log',
      'daemon.log.1',
      'daemon.log.2',
      'daemon.log.3',
    ]);
    file.resize(1000, 1);
    file.write(`${'y'.repeat(400)}\n`);
    expect(readdirSync(folder).toSorted()).toEqual(['daemon.log', 'daemon.log.1']);
  });

  it('goes on in a file that is there, and takes a line longer than a whole file', () => {
    const folder = tempFolder();
    const path = join(folder, 'daemon.log');
    writeFileSync(path, 'old\n');
    const file = new LogFile({ path, maxBytes: 100, maxFiles: 2, onFault: () => {} });
    file.write(`${'z'.repeat(500)}\n`);
    file.close();
    file.write('after the end\n');
    expect(linesOf(path, 2)).toEqual(['old', 'z'.repeat(500)]);
  });

  it('fills what somebody took out of the middle before it pushes the oldest out', () => {
    const { file, path, folder } = open({ maxFiles: 4 });
    const write = (n: number): void => file.write(`${n}:${'x'.repeat(900)}\n`);
    for (let n = 1; n <= 5; n += 1) write(n);
    rmSync(`${path}.2`);
    rmSync(`${path}.3`);
    write(6);
    write(7);
    expect(linesOf(path, 4).map((line) => line[0])).toEqual(['1', '4', '5', '6', '7']);
    write(8);
    expect(readdirSync(folder)).toHaveLength(5);
    expect(linesOf(path, 4)[0]?.[0]).toBe('4');
  });

  it('holds lines while its folder is gone, and writes them when it is there again', () => {
    const base = tempFolder();
    const folder = join(base, 'daemon');
    mkdirSync(folder);
    const path = join(folder, 'daemon.log');
    const { file, faults } = open({ path });
    file.write('before\n');
    rmSync(folder, { recursive: true });
    file.write('meanwhile\n');
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`${path} cannot be written (ENOENT`);
    mkdirSync(folder);
    file.write('after\n');
    expect(readFileSync(path, 'utf8')).toBe('meanwhile\nafter\n');
    expect(faults.at(-1)).toBeUndefined();
  });

  it('keeps whole lines on a full disk, holds the newest in memory, and says what it dropped', ({ skip }) => {
    const folder = smallDisk(skip, '64k');
    const path = join(folder, 'daemon.log');
    const faults: unknown[] = [];
    const file = new LogFile({
      path,
      maxBytes: 10_000_000,
      maxFiles: 2,
      onFault: (error) => faults.push(error?.message),
    });
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(20_000));
    for (let n = 0; n < 500; n += 1) file.write(`${JSON.stringify({ n, text: 'x'.repeat(1000) })}\n`);
    expect(String(faults[0])).toContain('ENOSPC');
    for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) JSON.parse(line);
    rmSync(join(folder, 'ballast'));
    execFileSync('mount', ['-o', 'remount,size=2m', folder]);
    file.write('{"n":"last"}\n');
    file.close();
    expect(faults.at(-1)).toBeUndefined();
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const dropped = lines.find((line) => line.msg === 'log lines dropped').lines as number;
    expect(lines.filter((line) => typeof line.n === 'number').length + dropped).toBe(500);
    expect(lines.at(-2).n).toBe(499);
    expect(lines.at(-1).n).toBe('last');
  });
  it('rotates on a full disk without losing a line', ({ skip }) => {
    const folder = smallDisk(skip, '64k');
    const path = join(folder, 'daemon.log');
    const { file } = open({ path, maxBytes: 8_000, maxFiles: 3 });
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(40_000));
    // Room for two files and a bit: what comes later waits in memory.
    const told = Array.from({ length: 60 }, (_, n) => JSON.stringify({ n, text: 'x'.repeat(900) }));
    for (const line of told.slice(0, 40)) file.write(`${line}\n`);
    for (const line of linesOf(path, 3)) JSON.parse(line);
    rmSync(join(folder, 'ballast'));
    for (const line of told.slice(40)) file.write(`${line}\n`);
    expect(linesOf(path, 3)).toEqual(told.slice(-linesOf(path, 3).length));
    for (const name of readdirSync(folder))
      expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(8_000);
  });
});
