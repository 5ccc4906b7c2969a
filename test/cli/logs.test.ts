import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followLog } from '#aiwgd/cli/logs/follow-log.js';
import { renderLogLine } from '#aiwgd/cli/logs/log-line.js';
import { readTail } from '#aiwgd/cli/logs/read-tail.js';
import { painter } from '#aiwgd/cli/output/color.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { runCli } from './run-cli.js';

let folder: string;
let log: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aiwgd-logs-'));
  log = join(folder, 'daemon.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const MAX_FILES = 5;

/** Rotates as the daemon does. */
function rotate(): void {
  for (let number = MAX_FILES; number >= 1; number -= 1) {
    const from = number === 1 ? log : `${log}.${number - 1}`;
    if (existsSync(from)) renameSync(from, `${log}.${number}`);
  }
}

const all = { accepts: () => true, isTooOld: () => false };

function tail(count: number): string[] {
  const { lines, point } = readTail(log, { ...all, count });
  if (point !== undefined) closeSync(point.file);
  return lines;
}

describe('the end of the log', () => {
  it('is the last lines, over any pattern of rotations', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', ' '));
    const pattern = fc.array(fc.array(line, { maxLength: 12 }), { minLength: 1, maxLength: MAX_FILES + 1 });
    fc.assert(
      fc.property(pattern, fc.nat(80), (files, count) => {
        rmSync(folder, { recursive: true, force: true });
        folder = mkdtempSync(join(tmpdir(), 'aiwgd-logs-'));
        log = join(folder, 'daemon.log');
        for (const [index, lines] of files.entries()) {
          if (index > 0) rotate();
          writeFileSync(log, lines.map((text) => `${text}\n`).join(''));
        }
        const everything = files.flat();
        expect(tail(count)).toEqual(count === 0 ? [] : everything.slice(-count));
      }),
      { numRuns: 60 },
    );
  });

  it('is found in lines longer than a block, and leaves out half a line', () => {
    const long = 'ä'.repeat(200_000);
    writeFileSync(log, `first\n${long}\nlast\nhalf`);
    expect(tail(2)).toEqual([long, 'last']);
    expect(tail(10)).toEqual(['first', long, 'last']);
  });

  it('is nothing where there is no log', () => {
    expect(tail(5)).toEqual([]);
  });
});

describe('following the log', () => {
  it('gives each line once across rotations, quick ones too', async () => {
    writeFileSync(log, 'before\n');
    const { lines, point } = readTail(log, { ...all, count: 10 });
    const end = new AbortController();
    const total = 3_000;
    let written = 0;
    const writer = setInterval(() => {
      for (let burst = 0; burst < 60 && written < total; burst += 1) {
        appendFileSync(log, `line ${written}\n`);
        written += 1;
        if (written % 151 === 0) rotate();
      }
      if (written === total) clearInterval(writer);
    }, 20);
    for await (const line of followLog(log, point, systemClock, end.signal)) {
      lines.push(line);
      if (line === `line ${total - 1}`) end.abort();
    }
    expect(lines).toEqual(['before', ...Array.from({ length: total }, (_, index) => `line ${index}`)]);
  });

  it('waits for a log that is not there yet', async () => {
    const end = new AbortController();
    const seen: string[] = [];
    const writer = setTimeout(() => writeFileSync(log, 'first\n'), 50);
    for await (const line of followLog(log, undefined, systemClock, end.signal)) {
      seen.push(line);
      end.abort();
    }
    clearTimeout(writer);
    expect(seen).toEqual(['first']);
  });
});

describe('a log line for people', () => {
  const plain = painter(false);

  it('has time, level, message and fields; time may be a number or a text', () => {
    const time = new Date(2026, 10, 22, 8, 15, 1).getTime();
    const entry = {
      level: 30,
      time,
      pid: 7,
      hostname: 'h',
      taskId: 'task-0001',
      why: 'two words',
      msg: 'Task queued',
    };
    const expected = '2026-11-22 08:15:01 INFO  Task queued  taskId=task-0001  why="two words"';
    expect(renderLogLine(JSON.stringify(entry), plain)).toBe(expected);
    const iso = { ...entry, time: new Date(time).toISOString(), level: 'info' };
    expect(renderLogLine(JSON.stringify(iso), plain)).toBe(expected);
  });

  it('shows errors with their stack, and what is no JSON as it is, harmless', () => {
    const entry = { level: 50, time: 0, msg: 'broken', err: { message: 'why', stack: 'Error: why\n  at x' } };
    expect(renderLogLine(JSON.stringify(entry), plain)).toMatch(
      /ERROR broken {2}err=why\n {4}Error: why\n {6}at x$/,
    );
    expect(renderLogLine('half \u001b[2J', plain)).toBe('half ␛[2J');
  });
});

describe('aiwgd logs', () => {
  it('filters by level and time, and prints raw lines with --json', async () => {
    const root = folder;
    mkdirSync(join(root, '.aiwg', 'daemon'), { recursive: true });
    const now = Date.now();
    const rows = [
      { level: 50, time: now - 7_200_000, msg: 'old error' },
      { level: 30, time: now - 1_000, msg: 'news' },
      { level: 40, time: now, msg: 'warning' },
    ].map((row) => JSON.stringify(row));
    writeFileSync(join(root, '.aiwg', 'daemon', 'daemon.log.1'), `${rows[0]}\n`);
    writeFileSync(join(root, '.aiwg', 'daemon', 'daemon.log'), `${rows[1]}\n${rows[2]}\n`);
    const raw = await runCli(['logs', '--json'], { cwd: root });
    expect(raw).toMatchObject({ code: 0, stdout: `${rows.join('\n')}\n` });
    const filtered = await runCli(['logs', '--level', 'warn', '--since', '1h', '--json'], { cwd: root });
    expect(filtered.stdout).toBe(`${rows[2]}\n`);
    const last = await runCli(['logs', '--lines', '2'], { cwd: root });
    expect(
      last.stdout
        .trim()
        .split('\n')
        .map((line) => line.slice(20)),
    ).toEqual(['INFO  news', 'WARN  warning']);
    expect((await runCli(['logs', '--since', 'soon'], { cwd: root })).code).toBe(2);
  });
});
