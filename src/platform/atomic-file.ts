import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

export interface AtomicWriteOptions {
  /** Permission bits of the new file; 0600 where not given. */
  mode?: number;
  /** Also survive a power cut, at the price of a disk flush. Off where a reader only needs a whole file. */
  durable?: boolean;
}

/**
 * Replaces `path` by `content`: a reader sees the old or the new file, never half of one, and on an error (a full
 * disk, say) the old file stays. Throws the system's error.
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: AtomicWriteOptions = {},
): void {
  const temporary = `${path}.tmp`;
  try {
    const file = openSync(temporary, 'w', options.mode ?? 0o600);
    try {
      writeAll(file, typeof content === 'string' ? Buffer.from(content) : content);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Writes every byte: `writeSync` may stop short (a nearly full disk), and only the next call tells the reason. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset);
}
