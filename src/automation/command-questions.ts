import { randomUUID } from 'node:crypto';
import type { StateDatabase } from '../database/state-database.js';
import { isStorageFault } from '../database/storage-error.js';
import { type Clock, sleep } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';
import { visibleLine } from '../protocol/visible-text.js';
import type { CommandPort } from './ports.js';
import type { ShellCondition } from './rules/conditions.js';
import { eventEnvironment } from './rules/event-environment.js';

/** Commands of conditions that run at once; others wait. */
const MOST_AT_ONCE = 4;
const DISK_RETRY_MS = 1_000;

const TABLE = 'CREATE TABLE IF NOT EXISTS command_marks (mark TEXT PRIMARY KEY) WITHOUT ROWID;';

export interface CommandQuestionsOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  commands: CommandPort;
}

/** Asks the commands of conditions. Each is noted while it runs, so that a daemon that is killed leaves none for good. */
export class CommandQuestions {
  readonly #options: CommandQuestionsOptions;
  readonly #over = new AbortController();
  readonly #queue: (() => void)[] = [];
  #running = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: CommandQuestionsOptions) {
    this.#options = options;
    options.db.exec(TABLE);
  }

  /** Ends what an earlier daemon left. */
  async start(): Promise<void> {
    const { db, commands } = this.#options;
    const marks = db.all('SELECT mark FROM command_marks').map((row) => String(row['mark']));
    if (marks.length === 0) return;
    await commands.endLeft(marks);
    for (const mark of marks) this.#forget(mark);
  }

  /** Exit code 0 is a yes; anything else, and no answer in time, is a no. Rejects where the command cannot be run. */
  async ask(condition: ShellCondition, event: AiwgEvent): Promise<{ yes: boolean; why: string }> {
    await this.#turn();
    const mark = randomUUID();
    try {
      await this.#remember(mark);
      const { exitCode, timedOut, output } = await this.#options.commands.run({
        mark,
        command: condition.command,
        env: eventEnvironment(event, []),
        stdin: `${JSON.stringify(event)}\n`,
        timeoutMs: condition.timeout_ms,
        signal: this.#over.signal,
      });
      if (timedOut)
        return { yes: false, why: `it gave no answer within ${condition.timeout_ms} ms and was ended` };
      const said = output.trim() === '' ? '' : `, and it said: ${visibleLine(output).slice(-300)}`;
      const how = exitCode === null ? 'it was ended by a signal' : `it ended with ${exitCode}`;
      return { yes: exitCode === 0, why: exitCode === 0 ? how : how + said };
    } finally {
      this.#forget(mark);
      this.#running -= 1;
      this.#queue.shift()?.();
      if (this.#running === 0) this.#whenIdle?.();
    }
  }

  /**
   * Ends the commands that run; their questions answer no, and nobody may act on that. Resolves when none of their
   * processes is left.
   */
  async close(): Promise<void> {
    this.#over.abort();
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** While the disk takes nothing it waits: an event must not be judged by that. */
  async #remember(mark: string): Promise<void> {
    const { db, clock } = this.#options;
    while (!this.#over.signal.aborted) {
      try {
        db.run('INSERT INTO command_marks VALUES (?)', mark);
        return;
      } catch (error) {
        if (!isStorageFault(error)) throw error;
        await sleep(clock, DISK_RETRY_MS, this.#over.signal);
      }
    }
    throw new Error('the daemon stops');
  }

  /** Never throws: the next daemon looks for one that stays, and finds nothing. */
  #forget(mark: string): void {
    const { db, log } = this.#options;
    try {
      db.run('DELETE FROM command_marks WHERE mark = ?', mark);
    } catch (error) {
      log.debug({ mark, reason: messageOf(error) }, 'The mark of a command stays until the next start');
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= MOST_AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
  }
}
