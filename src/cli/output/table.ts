import type { Color, Paint } from './color.js';
import { fitText, textWidth } from './text.js';

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** Takes what the others leave, and is cut where that is too little. At most one column of a table. */
  flexible?: boolean;
  color?: (cell: string) => Color | undefined;
}

const GAP = '  ';
const NARROWEST_FLEXIBLE = 10;

function widthsOf(columns: readonly Column[], rows: readonly (readonly string[])[], total: number): number[] {
  const widths = columns.map((column, index) =>
    rows.reduce((widest, row) => Math.max(widest, textWidth(row[index] ?? '')), textWidth(column.title)),
  );
  const flexible = columns.findIndex((column) => column.flexible);
  const needed = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1);
  const widest = widths[flexible];
  if (widest !== undefined && needed > total) {
    widths[flexible] = Math.max(NARROWEST_FLEXIBLE, widest - (needed - total));
  }
  return widths;
}

/**
 * Lines of a table that fits into `total` columns. Cells are harmless one-line texts (see `visibleLine`); only the
 * flexible column is ever cut, so that ids and states can be copied.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  total: number,
  paint: Paint,
): string[] {
  const widths = widthsOf(columns, rows, total);
  const lineOf = (cells: readonly string[], colorOf: (column: Column, cell: string) => Color | undefined) =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        const text = fitText(cells[index] ?? '', width);
        const fill = ' '.repeat(Math.max(0, width - textWidth(text)));
        const color = colorOf(column, text);
        const painted = color === undefined ? text : paint(color, text);
        if (column.align === 'right') return fill + painted;
        return index === columns.length - 1 ? painted : painted + fill;
      })
      .join(GAP)
      .trimEnd();
  return [
    lineOf(
      columns.map(({ title }) => title),
      () => 'bold',
    ),
    ...rows.map((row) => lineOf(row, (column, cell) => column.color?.(cell))),
  ];
}
