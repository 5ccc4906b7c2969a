/** Puts a name before each line of a text that comes in pieces. */
export class LinePrefix {
  readonly #prefix: string;
  #rest = '';

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The complete lines, with the prefix. */
  push(data: string): string[] {
    const lines = (this.#rest + data).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => this.#prefix + line);
  }
}
