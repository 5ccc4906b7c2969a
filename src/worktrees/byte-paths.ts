/**
 * A path in a repository is bytes, not text. Here it is a string with one character for each byte (Latin-1): it compares
 * and concatenates as the bytes do, and none is lost in JSON.
 */
export type BytePath = string;

export function bytesOf(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** For people and other programs; bytes that are no UTF-8 become U+FFFD. */
export function textOf(path: BytePath): string {
  return bytesOf(path).toString('utf8');
}

/** The path of a text. */
export function bytePathOf(text: string): BytePath {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** For the file system. */
export function under(folder: string, path: BytePath): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), bytesOf(path)]);
}

/** What git separates by NUL. */
export function splitNul(bytes: Buffer): BytePath[] {
  const parts = bytes.toString('latin1').split('\0');
  if (parts.at(-1) === '') parts.pop();
  return parts;
}

/** The other way, for stdin. */
export function joinNul(paths: readonly BytePath[]): Buffer {
  return bytesOf(paths.map((path) => `${path}\0`).join(''));
}
