/**
 * Characters that a reader does not see, or that change how others are seen: controls but for tab and newline, those that
 * turn the direction of writing, blanks without width, fillers, tags, lone surrogates. The selector of emoji (U+FE0F) stays.
 */
const UNSEEN =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- finding such characters is the purpose
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\p{Cf}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\uffa0\ufff0-\ufff8\u{e0000}-\u{e0fff}\ud800-\udfff]/gu;

function pictureOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  const hex = code.toString(16).padStart(4, '0');
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex}`;
}

/**
 * Text from outside made harmless: control characters, escape sequences and characters that hide, or turn the direction
 * of writing, are shown as pictures (`␛`) or escapes (`\u202e`), so that no text can paint on or type into a terminal, or
 * look like another. Newlines and tabs stay.
 */
export function visibleText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(UNSEEN, pictureOf);
}

/** As `visibleText`, on one line: runs of blanks and newlines become one blank. */
export function visibleLine(text: string): string {
  return visibleText(text.trim().replace(/\s+/g, ' '));
}
