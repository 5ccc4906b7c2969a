/**
 * At most `mostBytes` of UTF-8, `note` at the end where something was left out; never cut within a character. The note
 * fits in.
 */
export function cutText(text: string, mostBytes: number, note: string): string {
  // A character of UTF-16 is a byte at least: whatever lies further on does not fit anyway.
  const bytes = Buffer.from(text.slice(0, mostBytes + 1));
  if (bytes.length <= mostBytes && text.length <= mostBytes) return text;
  let end = Math.max(0, mostBytes - Buffer.byteLength(note));
  while (end > 0 && isContinuation(bytes[end])) end -= 1;
  return bytes.toString('utf8', 0, end) + note;
}

/** Whether a byte stands within a character of UTF-8, and not at its beginning. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >> 6 === 0b10;
}
