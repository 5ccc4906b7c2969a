/**
 * What a reader does not see as it is: control characters, characters that turn the direction of writing, that have no
 * width or no ink. With them a text can say one thing to a person and another to an agent. U+FE0F, which every other emoji
 * ends with, stays.
 */
const UNSEEN = /(?!\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu;

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  let codes = '';
  for (let at = 0; at < character.length; at += 1) {
    codes += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }
  return codes;
}

/** The text with everything unseen as an escape (`\n`, `\u202e`), hence on one line. */
export function shown(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** The value as JSON in which every character is seen. It reads back as the same value. */
export function shownJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(UNSEEN, escaped);
}

/** The text, or its beginning and `…`, in at most `most` UTF-16 units; no character is cut in two. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** A value as it stands in a reason: JSON, at most 120 characters of it. */
export function brief(value: unknown): string {
  if (typeof value === 'string') return shownJson(cut(value, 120));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
