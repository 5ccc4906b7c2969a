import { randomUUID } from 'node:crypto';
import type { StateDatabase } from '../database/state-database.js';
import type { AiwgEvent } from '../protocol/event.js';
import type { CommandPort } from './ports.js';
import type { ShellCondition } from './rules/conditions.js';
import { eventEnvironment } from './rules/event-environment.js';

/** Commands of conditions that run at once; others wait. */
const MOST_AT_ONCE = 4;

const TABLE = 'CREATE TABLE IF NOT EXISTS command_marks (mark TEXT PRIMARY KEY) WITHOUT ROWID;';

/** Asks the commands of conditions. Each is noted while it runs, so that a daemon that is killed leaves none for good. */
export class CommandQuestions {
  readonly #db: StateDatabase;
  readonly #commands: CommandPort;
  readonly #over = new AbortController();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(db: StateDatabase, commands: CommandPort) {
    this.#db = db;
    this.#commands = commands;
    db.exec(TABLE);
  }

  /** Ends what an earlier daemon left. */
  async start(): Promise<void> {
    const marks = this.#db.all('SELECT mark FROM command_marks').map((row) => String(row['mark']));
    if (marks.length === 0) return;
    await this.#commands.endLeft(marks);
    for (const mark of marks) this.#forget(mark);
  }

  /** Exit code 0 is a yes; anything else, and no answer in time, is a no. */
  async ask(condition: ShellCondition, event: AiwgEvent): Promise<{ yes: boolean; why: string }> {
    await this.#turn();
    const mark = randomUUID();
    try {
      this.#db.run('INSERT INTO command_marks VALUES (?)', mark);
      const { exitCode, timedOut, stderr } = await this.#commands.run({
        mark,
        command: condition.command,
        env: eventEnvironment(event, []),
        stdin: `${JSON.stringify(event)}\n`,
        timeoutMs: condition.timeout_ms,
        signal: this.#over.signal,
      });
      this.#forget(mark);
      if (timedOut)
        return { yes: false, why: `it gave no answer within ${condition.timeout_ms} ms and was ended` };
      const said = stderr.trim() === '' ? '' : `, and it said: ${stderr.trim().slice(-300)}`;
      const how = exitCode === null ? 'it was ended by a signal' : `it ended with ${exitCode}`;
      return { yes: exitCode === 0, why: exitCode === 0 ? how : how + said };
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  /** Ends the commands that run; their questions answer no, and nobody may act on that. */
  close(): void {
    this.#over.abort();
  }

  #forget(mark: string): void {
    this.#db.run('DELETE FROM command_marks WHERE mark = ?', mark);
  }

  async #turn(): Promise<void> {
    if (this.#running >= MOST_AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
  }
}
