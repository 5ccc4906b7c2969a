export { visibleLine, visibleText } from '../../protocol/visible-text.js';

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const PLAIN = /^[\u0020-\u007e]*$/;

let segmenter: Intl.Segmenter | undefined;

/** The characters as a reader sees them: an accent or a joined emoji belongs to the one before. */
function graphemes(text: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

function columnsOf(grapheme: string): number {
  return WIDE.test(grapheme) ? 2 : 1;
}

/** Columns that a harmless text without colours takes on a terminal. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  return graphemes(text).reduce((sum, grapheme) => sum + columnsOf(grapheme), 0);
}

/** The text, or its beginning and `…`, in at most `columns` columns. */
export function fitText(text: string, columns: number): string {
  // The end of a very long text is never seen: do not measure it.
  if (columns === Number.POSITIVE_INFINITY || (text.length <= columns && PLAIN.test(text))) return text;
  const head = text.slice(0, columns * 16);
  if (head === text && textWidth(text) <= columns) return text;
  let fitted = '';
  let width = 0;
  for (const grapheme of graphemes(head)) {
    width += columnsOf(grapheme);
    if (width > columns - 1) break;
    fitted += grapheme;
  }
  return columns < 1 ? '' : `${fitted.trimEnd()}…`;
}
