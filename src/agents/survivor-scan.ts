import type { Clock } from '../platform/clock.js';
import { linuxPids, readMarks } from '../platform/process-table.js';

/** After this time every environment is read anew. */
const FULL_SCAN_EVERY_MS = 2_000;

/** An attempt's id; null for a process without a mark; `unsure` for an environment that was empty, as in the middle of an exec. */
type Known = string | typeof UNSURE | null;
const UNSURE = Symbol('unsure');

/**
 * Tells cheaply, after each attempt, whether it left processes behind: one look at the list of pids, and a look into
 * the environment of those only that no earlier scan knew.
 *
 * Why passing over known pids is safe: an attempt's processes carry its mark from their first moment (it is inherited
 * by fork), so one that was seen without it was never of the attempt. A known pid is forgotten as soon as a scan does
 * not find it, so it can only stand for a newer process if the old one ended and the kernel went through all its pids
 * within the time between two scans; and after two seconds nothing known is believed any more. Environments read as
 * empty (a process in the middle of its exec) are read again. Were a process ever missed all the same, it would still
 * be found by its mark at the next full scan that looks for it, at the latest when the daemon starts anew.
 */
export class SurvivorScan {
  readonly #clock: Clock;
  #known = new Map<number, Known>();
  #fullScanAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether processes that carry this attempt's mark live (zombies may count). Where the system cannot say: yes. */
  mayHaveSurvivors(attemptId: string): boolean {
    if (process.platform !== 'linux') return true;
    try {
      return this.#scan(attemptId);
    } catch {
      // No descriptor is left, say. What was seen before it failed is forgotten.
      this.#known = new Map();
      return true;
    }
  }

  #scan(attemptId: string): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#fullScanAt >= FULL_SCAN_EVERY_MS) {
      this.#known = new Map();
      this.#fullScanAt = now;
    }
    const before = this.#known;
    this.#known = new Map();
    let found = false;
    for (const pid of linuxPids()) {
      const marks = this.#look(pid, before.get(pid));
      this.#known.set(pid, marks);
      if (marks === attemptId) found = true;
    }
    return found;
  }

  #look(pid: number, known: Known | undefined): Known {
    if (known !== undefined && known !== UNSURE) return known;
    const marks = readMarks(pid);
    if (marks === 'empty') return known === UNSURE ? null : UNSURE;
    return marks === 'none' ? null : marks.attemptId;
  }
}
