import type { TaskProgress } from '../../protocol/task.js';

const MAX_TEXT_CHARACTERS = 2000;
const MAX_TOOL_CHARACTERS = 200;

const NOTHING_YET: TaskProgress = { turns: 0, tool: null, text: '', tokens: null, costUsd: null };

/** What an agent is doing, put together from what it tells bit by bit. */
export class ProgressNotes {
  #shown: TaskProgress | null = null;

  /** Null before the first note; another object after each. */
  get shown(): TaskProgress | null {
    return this.#shown;
  }

  /** One more answer of the model, with whatever it brought. */
  answered(change: Partial<TaskProgress> = {}): void {
    this.note({ ...change, turns: (this.#shown ?? NOTHING_YET).turns + 1 });
  }

  note(change: Partial<TaskProgress>): void {
    const next = { ...(this.#shown ?? NOTHING_YET), ...change };
    if (change.text !== undefined) next.text = lastCharacters(change.text);
    this.#shown = next;
  }
}

/** A tool with what it is at, on one short line: `bash: npm test`. */
export function toolWords(name: string, about: unknown): string {
  const detail =
    typeof about === 'string' ? about.slice(0, MAX_TOOL_CHARACTERS).replaceAll(/\s+/gu, ' ') : '';
  const words = detail === '' ? name : `${name}: ${detail}`;
  return words.length <= MAX_TOOL_CHARACTERS ? words : `${words.slice(0, MAX_TOOL_CHARACTERS - 1)}…`;
}

/** The first text among the fields that tools commonly take. */
export function toolSubject(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  const fields = input as Record<string, unknown>;
  return ['command', 'file_path', 'filePath', 'path', 'pattern', 'query', 'url', 'description']
    .map((name) => fields[name])
    .find((value) => typeof value === 'string');
}

function lastCharacters(text: string): string {
  const end = text.slice(-MAX_TEXT_CHARACTERS);
  // Half of a pair is no character.
  return /^[\udc00-\udfff]/u.test(end) ? end.slice(1) : end;
}
