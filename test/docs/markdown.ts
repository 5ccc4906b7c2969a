import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A fenced block: `sh run` has the language `sh` and the marks `run`; `sh file=agent.sh` the mark `file=agent.sh`. */
export interface Block {
  language: string;
  marks: string[];
  text: string;
  /** Of its first fence. */
  line: number;
}

export interface Page {
  /** Relative to the repository. */
  path: string;
  text: string;
  blocks: Block[];
  /** The lines outside of fenced blocks, with their numbers. */
  prose: { line: number; text: string }[];
}

export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const page: Page = { path, text, blocks: [], prose: [] };
  let open: (Block & { lines: string[] }) | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (open === undefined && fence !== null) {
      const [language = '', ...marks] = (fence[1] ?? '').trim().split(/\s+/);
      open = { language, marks, text: '', line: index + 1, lines: [] };
    } else if (open !== undefined && fence !== null) {
      const { lines, ...block } = open;
      page.blocks.push({ ...block, text: `${lines.join('\n')}\n` });
      open = undefined;
    } else if (open === undefined) {
      page.prose.push({ line: index + 1, text: line });
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block is never closed`);
  return page;
}

/** Every page of the repository that people read: those at its top, and all below docs/. */
export function allPages(): Page[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const below = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return [...top, ...below].toSorted().map(readPage);
}

/** Texts between backticks in the prose. */
export function inlineCode(page: Page): { line: number; code: string }[] {
  return page.prose.flatMap(({ line, text }) =>
    Array.from(text.matchAll(/`([^`]+)`/g), ([, code = '']) => ({ line, code })),
  );
}

/** Targets of links and pictures in the prose. */
export function linksOf(page: Page): { line: number; target: string }[] {
  return page.prose.flatMap(({ line, text }) =>
    Array.from(text.replaceAll(/`[^`]*`/g, '``').matchAll(/\]\(([^()\s]+)\)/g), ([, target = '']) => ({
      line,
      target,
    })),
  );
}

/** The anchors that GitHub makes of the headings. */
export function anchorsOf(page: Page): Set<string> {
  const anchors = new Set<string>();
  for (const { text } of page.prose) {
    const heading = /^#{1,6}\s+(.*?)\s*$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}
