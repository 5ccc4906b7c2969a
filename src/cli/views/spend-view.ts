import type { SpendReport, SpendSum } from '../../protocol/spend.js';
import type { Paint } from '../output/color.js';
import { formatLocalTime, formatUsd, plural } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine } from '../output/text.js';

function cells({ costUsd, attempts, unknown, tokens }: SpendSum): string[] {
  return [
    formatUsd(costUsd),
    String(attempts),
    unknown === 0 ? '-' : String(unknown),
    tokens.input.toLocaleString('en'),
    tokens.cachedInput.toLocaleString('en'),
    tokens.output.toLocaleString('en'),
  ];
}

/** What was spent, with its total, and what nobody knows of it. */
export function spendLines({ since, by, rows, total }: SpendReport, columns: number, paint: Paint): string[] {
  const from = formatLocalTime(Date.parse(since));
  if (total.attempts === 0) return [`No attempt of an agent has ended since ${from}`];
  const shown = rows.reduce((sum, { attempts }) => sum + attempts, 0);
  const table = tableLines(
    [
      { title: by.toUpperCase(), flexible: true },
      { title: 'COST', align: 'right' },
      { title: 'ATTEMPTS', align: 'right' },
      { title: 'UNKNOWN', align: 'right' },
      { title: 'INPUT', align: 'right' },
      { title: 'CACHED', align: 'right' },
      { title: 'OUTPUT', align: 'right' },
    ],
    [
      ...rows.map((row) => [row.key === null ? '(no rule)' : visibleLine(row.key), ...cells(row)]),
      ['total', ...cells(total)],
    ],
    columns,
    paint,
  );
  return [
    ...table.slice(0, -1),
    paint('bold', table.at(-1) ?? ''),
    `Since ${from}; input, cached and output in tokens, cached ones are part of the input`,
    ...(shown < total.attempts
      ? [`${by === 'day' ? 'The newest' : 'The most expensive'} are shown; --limit shows more`]
      : []),
    ...unknownLines(total),
  ];
}

function unknownLines({ unknown, costUsd, countedUsd }: SpendSum): string[] {
  if (unknown === 0) return [];
  const reserved = Math.max(0, countedUsd - costUsd);
  return [
    `The cost of ${plural(unknown, 'attempt')} is unknown and in no sum; budgets count ${formatUsd(reserved)} instead`,
  ];
}
