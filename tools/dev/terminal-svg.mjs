// Draws what a terminal showed as an SVG. Reads lines with colours (SGR sequences) from stdin, writes the picture to
// stdout; an argument becomes the title. The picture of the README is made so:
//
//   tmux new-session -d -s demo -x 90 -y 60 'node dist/cli/main.js demo; sleep 60'
//   … when it has ended: tmux capture-pane -e -p -t demo | node tools/dev/terminal-svg.mjs 'aiwgd demo' > docs/images/demo.svg
import { readFileSync } from 'node:fs';

const FONT_SIZE = 13;
const CELL_WIDTH = 7.83;
const LINE_HEIGHT = 18;
const PADDING = 16;
const TITLE_HEIGHT = 34;
const NARROWEST = 80;

const FOREGROUND = '#e6edf3';
const PALETTE = ['#6e7681', '#ff7b72', '#7ee787', '#e3b341', '#79c0ff', '#d2a8ff', '#76e3ea', '#e6edf3'];

// oxlint-disable-next-line no-control-regex -- escape sequences are what is read here
const SEQUENCE = /\u001b\[([0-9;]*)m/;

/** The style after one SGR sequence. */
function styled(style, codes) {
  let next = style;
  for (const code of codes) {
    if (code === 0) next = {};
    else if (code === 1) next = { ...next, bold: true };
    else if (code === 2) next = { ...next, dim: true };
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 39) next = { ...next, color: undefined };
    else if (code >= 30 && code <= 37) next = { ...next, color: PALETTE[code - 30] };
    else if (code >= 90 && code <= 97) next = { ...next, color: PALETTE[code - 90] };
  }
  return next;
}

/** Runs of equal style for each line; a style lasts across lines, as on a terminal. */
function readRuns(text) {
  let style = {};
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const runs = [];
      // A string, then the codes of a sequence, then a string, and so on.
      for (const [index, part] of line.split(SEQUENCE).entries()) {
        if (index % 2 === 1) style = styled(style, part.split(';').map(Number));
        else if (part !== '') runs.push({ text: part, ...style });
      }
      return runs;
    });
}

function escapeText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function drawRun({ text, color, bold, dim }) {
  const attributes = [
    ...(color === undefined ? [] : [`fill="${color}"`]),
    ...(bold ? ['font-weight="bold"'] : []),
    ...(dim ? ['fill-opacity="0.65"'] : []),
  ];
  const content = escapeText(text);
  return attributes.length === 0 ? content : `<tspan ${attributes.join(' ')}>${content}</tspan>`;
}

function draw(lines, title) {
  const lengths = lines.map((runs) => runs.reduce((sum, { text }) => sum + text.length, 0));
  const width = Math.ceil(Math.max(NARROWEST, ...lengths) * CELL_WIDTH + 2 * PADDING);
  const height = TITLE_HEIGHT + lines.length * LINE_HEIGHT + PADDING;
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `<circle cx="${PADDING + 6 + index * 18}" cy="17" r="5.5" fill="${color}"/>`,
  );
  const texts = lines.flatMap((runs, index) => {
    if (runs.length === 0) return [];
    const y = TITLE_HEIGHT + FONT_SIZE + index * LINE_HEIGHT;
    return [`<text x="${PADDING}" y="${y}" xml:space="preserve">${runs.map(drawRun).join('')}</text>`];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeText(title)}">`,
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...dots,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT_SIZE}" fill="${FOREGROUND}">`,
    `<text x="${width / 2}" y="21" text-anchor="middle" fill-opacity="0.65">${escapeText(title)}</text>`,
    ...texts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

process.stdout.write(draw(readRuns(readFileSync(0, 'utf8')), process.argv[2] ?? 'Terminal'));
