import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeAll } from '../platform/atomic-file.js';
import { makeFolder } from '../platform/make-folder.js';

const NEWLINE = 0x0a;

export interface SegmentLimits {
  maxLines: number;
  maxBytes: number;
}

/**
 * Lines appended to `path`; before a write would take it over its limits, the file becomes `<path>.1` and a new one
 * begins. So the two together always hold the newest `maxLines` lines (as far as `maxBytes` lets them) and at most
 * twice that.
 */
export class SegmentFile {
  readonly path: string;
  readonly #limits: SegmentLimits;
  #lines = 0;

  constructor(path: string, limits: SegmentLimits) {
    this.path = path;
    this.#limits = limits;
  }

  /** All lines that are not empty, oldest first, the torn or damaged ones too. Throws the system's error. */
  read(): string[] {
    const older = linesOf(`${this.path}.1`);
    const newer = linesOf(this.path);
    this.#lines = newer.length;
    return [...older, ...newer];
  }

  /**
   * Appends `lines` in one write; where they are over the limits by themselves, the oldest are left out. Throws the
   * system's error, and leaves the file as it was then.
   */
  append(lines: string[]): void {
    const { maxLines, maxBytes } = this.#limits;
    const fitting = newestWithin(lines, maxLines, maxBytes);
    const bytes = Buffer.from(fitting.map((line) => `${line}\n`).join(''));
    makeFolder(dirname(this.path), 0o700);
    let file = this.#open();
    try {
      if (this.#lines + fitting.length > maxLines || fstatSync(file).size + bytes.length > maxBytes) {
        closeSync(file);
        file = -1;
        renameSync(this.path, `${this.path}.1`);
        this.#lines = 0;
        file = this.#open();
      }
      appendWhole(file, bytes);
      this.#lines += fitting.length;
    } finally {
      if (file !== -1) closeSync(file);
    }
  }

  #open(): number {
    return openSync(this.path, 'a+', 0o600);
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function newestWithin(lines: string[], maxLines: number, maxBytes: number): string[] {
  let bytes = 0;
  let first = lines.length;
  while (first > 0 && lines.length - first < maxLines) {
    bytes += Buffer.byteLength(lines[first - 1] ?? '') + 1;
    if (bytes > maxBytes) break;
    first -= 1;
  }
  return lines.slice(first);
}

/** Appends all of `bytes` or nothing; begins on a new line where the file ends in a torn one. */
function appendWhole(file: number, bytes: Uint8Array): void {
  const before = fstatSync(file).size;
  try {
    if (before > 0 && lastByte(file, before) !== NEWLINE) writeAll(file, Uint8Array.of(NEWLINE));
    writeAll(file, bytes);
  } catch (error) {
    ftruncateSync(file, before);
    throw error;
  }
}

function lastByte(file: number, size: number): number | undefined {
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, size - 1);
  return byte[0];
}
