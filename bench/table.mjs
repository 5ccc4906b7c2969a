// The rows as lines of a table, printed as they come.
const WIDTHS = [66, 13, 13, 8, 9];

function line(...cells) {
  const [name, ...rest] = cells;
  return `${name.padEnd(WIDTHS[0])}${rest.map((cell, index) => cell.padStart(WIDTHS[index + 1] ?? 0)).join(' ')}`;
}

function figure(value, unit) {
  if (value === null) return '–';
  const digits = value !== 0 && Math.abs(value) < 1 ? 3 : Math.abs(value) < 100 ? 1 : 0;
  const text = Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(digits);
  return unit.startsWith('/') ? `${text}${unit}` : `${text} ${unit}`.trim();
}

export function printHead(machine, short) {
  const what = short
    ? 'small sizes, to see that it works: the ratios mean nothing'
    : 'medians, in turns with the limit';
  console.log(`${machine}; ${what}\n`);
  console.log(line('', 'limit', 'ours', 'ratio', 'goal'));
}

export function printRow({ name, unit, limit, ours, ratio, goal, met, note }) {
  if (ours === undefined) {
    console.log(`${name.padEnd(WIDTHS[0])}${note}`);
    return;
  }
  const ratioText = ratio === null ? '' : `${ratio.toFixed(2)} ×`;
  const cells = line(name, figure(limit, unit), figure(ours, unit), ratioText, goal);
  console.log(`${cells}  ${met ? 'met' : 'NOT MET'}${note === undefined ? '' : `  (${note})`}`);
}
