import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';

const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * Whether the file at `path`, which begins with `head`, came there with a copy of its folder: at `home`, where it was
 * written, there still is another file that begins so. One that was moved, or that is reached by two ways, is no copy.
 */
export function isCopiedFile(path: string, home: string, head: string): boolean {
  if (path === home) return false;
  try {
    const here = statSync(path);
    const there = statSync(home);
    if (!there.isFile() || (here.dev === there.dev && here.ino === there.ino)) return false;
    return beginsWith(home, Buffer.from(head));
  } catch {
    // Nothing is left there, or nothing that we may read.
    return false;
  }
}

function beginsWith(path: string, head: Buffer): boolean {
  const file = openSync(path, O_RDONLY | O_NONBLOCK);
  try {
    const found = Buffer.alloc(head.length);
    return readSync(file, found, 0, found.length, 0) === head.length && found.equals(head);
  } finally {
    closeSync(file);
  }
}
