/**
 * Names of files are bytes, and need not be UTF-8. Within the watcher a path is a string all the same: a byte that is no
 * part of a character stands in it as a lone surrogate (U+DC80 and on, as Python does it), so nothing is lost, and two
 * names are never one.
 */
const FIRST_LONE = 0xdc00;
const LONE = /[\uDC80-\uDCFF]/u;
const LONE_ALL = /[\uDC80-\uDCFF]/gu;
const LONGEST_CHARACTER = 4;

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The string for a name as the system gives it. */
export function pathOfBytes(bytes: Uint8Array): string {
  const whole = decode(bytes);
  if (whole !== undefined) return whole;
  let path = '';
  for (let index = 0; index < bytes.length; ) {
    let length = 1;
    let character: string | undefined;
    for (; length <= LONGEST_CHARACTER && character === undefined; length += 1) {
      character = decode(bytes.subarray(index, index + length));
    }
    path += character ?? String.fromCharCode(FIRST_LONE + (bytes[index] ?? 0));
    index += character === undefined ? 1 : length - 1;
  }
  return path;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether the path is text, so that it can be shown and stored as it is. */
export function isText(path: string): boolean {
  return !LONE.test(path);
}

export function bytesOfPath(path: string): Buffer {
  const parts: Buffer[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    const lone = code > FIRST_LONE && code <= FIRST_LONE + 0xff;
    parts.push(lone ? Buffer.from([code - FIRST_LONE]) : Buffer.from(character));
  }
  return Buffer.concat(parts);
}

/** What Node's functions for files take. */
export function systemPath(path: string): string | Buffer {
  return isText(path) ? path : bytesOfPath(path);
}

/** For people: U+FFFD in the place of each byte that is no part of a character. */
export function readablePath(path: string): string {
  return path.replaceAll(LONE_ALL, '\uFFFD');
}

/** `name` in the folder `folder`; the empty string is the project itself. */
export function within(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** Whether `path` is `folder` or lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || (path.startsWith(folder) && path[folder.length] === '/');
}

/** The folder's part of a path and its last name. */
export function splitPath(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf('/');
  return slash === -1
    ? { folder: '', name: path }
    : { folder: path.slice(0, slash), name: path.slice(slash + 1) };
}
