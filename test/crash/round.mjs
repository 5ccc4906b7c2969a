// One round: its two tracks side by side, watched; then everything comes to its end, and the daemon is stopped.
import { readPrompt } from './agent-spec.mjs';
import { Evidence, numberOf } from './evidence.mjs';
import { FAULT_STEPS } from './faults.mjs';
import { readJournal } from './journal.mjs';
import { KILL_STEPS, lookForLeftovers, stop } from './kills.mjs';
import { Lab } from './lab.mjs';
import { isFinal } from './ledger.mjs';
import { comesTrue, pause } from './processes.mjs';
import { watchFiles, watchProcesses } from './watchers.mjs';
import { cancel, isEndless, WORK_STEPS } from './work.mjs';

/** A retry comes after 5 s, a stubborn agent takes its time; more than this is a task that hangs. */
const DRAIN_MS = 60_000;
/** A watcher's last look is over, and what the last kill left to die is dead. */
const SETTLE_MS = 3000;

/** A lab whose rounds share one project: what was told in one round holds in all later ones. */
export class RoundLab extends Lab {
  #slots = 1;
  #background = [];
  /** Numbers of the last task before this round, and of the last one of all. */
  #after = 0;
  #last = 0;

  /** From now on so many may run, at most; what ran before a smaller number came goes on. */
  allow(slots) {
    this.#slots = Math.max(this.#slots, slots);
  }

  background(work) {
    this.#background.push(work);
  }

  async play(script) {
    const ends = new AbortController();
    this.roundEnds = ends.signal;
    this.#slots = script.parallel;
    this.#background = [];
    this.ledger.retriedInRound.clear();
    this.project.configure({ parallel: script.parallel });
    const looking = new AbortController();
    await this.start();
    const watching = Promise.all([
      watchProcesses(this, () => this.#slots, looking.signal),
      watchFiles(this, looking.signal),
    ]);
    this.workIsDone = false;
    const work = this.#track(script.work, WORK_STEPS).then(() => (this.workIsDone = true));
    await Promise.all([work, this.#track(script.kills, { ...KILL_STEPS, ...FAULT_STEPS })]);
    const tasks = await this.#drain();
    const settled = await comesTrue(() => this.project.marked().length === 0, SETTLE_MS);
    if (!settled) lookForLeftovers(this, 'all tasks have ended');
    const observed = await this.#observe(tasks);
    ends.abort();
    await Promise.all(this.#background);
    await this.#stop();
    looking.abort();
    await watching;
    return observed;
  }

  stop(step, args) {
    return stop(this, step, args);
  }

  async #track(steps, actors) {
    for (const step of steps) {
      await pause(step.after);
      await actors[step.do](this, step);
    }
  }

  /** Waits until every task has an outcome; what would never end is cancelled. */
  async #drain() {
    const drained = await comesTrue(async () => {
      const active = [...(await this.#listed('running')), ...(await this.#listed('queued'))];
      for (const task of active) if (this.#wouldNeverEnd(task)) await cancel(this, task.id);
      // Asked in one piece: between two lists a task may go from the one to the other.
      const { queued, running } = await this.ask((client) => client.task.stats());
      return queued + running === 0;
    }, DRAIN_MS);
    if (!drained) this.ledger.find('every task comes to an outcome', `not within ${DRAIN_MS} ms`);
    return this.#newTasks();
  }

  #wouldNeverEnd(task) {
    const asked = this.ledger.submits.get(readPrompt(task.prompt)?.name);
    return isEndless(task) && asked?.submit.timeoutMs === undefined;
  }

  async #listed(state) {
    return this.ask((client) => client.task.list({ state, limit: 1000 }));
  }

  /** All tasks that came after those of the last look, whole. */
  async #newTasks() {
    this.#after = this.#last;
    const ids = [];
    for (let cursor = null; cursor !== undefined; ) {
      const more = cursor === null ? {} : { cursor };
      const page = await this.ask((client) => client.task.page({ limit: 200, ...more }));
      ids.push(...page.tasks.map(({ id }) => id).filter((id) => numberOf(id) > this.#after));
      const oldest = page.tasks.at(-1);
      cursor =
        oldest === undefined || numberOf(oldest.id) <= this.#after
          ? undefined
          : (page.nextCursor ?? undefined);
    }
    const tasks = [];
    for (const id of ids) {
      const task = await this.ask((client) => client.task.get({ taskId: id }));
      this.ledger.tell(task, 'task.get');
      tasks.push(task);
    }
    this.#last = Math.max(this.#last, ...ids.map(numberOf));
    return tasks;
  }

  /** What the invariants judge, read while the daemon runs. */
  async #observe(tasks) {
    // Those of earlier rounds that were retried in this one have changed since.
    const again = await this.#retold(tasks);
    const outputs = new Map();
    for (const task of [...tasks, ...again]) outputs.set(task.id, await this.#output(task));
    const history = await this.ask((client) => client.event.history({ limit: 1000 }));
    const { ledger, project } = this;
    const runs = readJournal(project.journalFile);
    return new Evidence({
      tasks: [...tasks, ...again],
      outputs,
      history,
      runs,
      ledger,
      project,
      after: this.#after,
    });
  }

  /** All tasks of the project, for the last look at it. */
  async everything() {
    await this.start();
    this.#last = 0;
    const tasks = await this.#newTasks();
    const observed = await this.#observe(tasks);
    await this.#stop();
    return observed;
  }

  async #retold(tasks) {
    const known = new Set(tasks.map(({ id }) => id));
    const again = [];
    for (const id of this.ledger.retriedInRound) {
      if (!known.has(id)) again.push(await this.ask((client) => client.task.get({ taskId: id })));
    }
    for (const task of again) this.ledger.tell(task, 'task.get');
    return again;
  }

  /** By the socket and by the command line, for one in eight tasks. */
  async #output(task) {
    if (!isFinal(task.state) || task.attempt === 0) return undefined;
    let text = '';
    for (let offset = 0, eof = false; !eof; ) {
      const from = offset;
      const slice = await this.ask((client) =>
        client.task.output({ taskId: task.id, offset: from, limit: 30_000 }),
      );
      if (slice.nextOffset === offset && !slice.eof) break;
      text += slice.data;
      offset = slice.nextOffset;
      eof = slice.eof;
    }
    const file = this.project.outputFile(task);
    if (numberOf(task.id) % 8 !== 0) return { rpc: text, file };
    const { stdout } = await this.project.run(['task', 'logs', task.id]);
    return { rpc: text, file, command: stdout };
  }

  /** For the report. An attempt outlived a daemon when it began before a start of one and went on after it. */
  summary() {
    const runs = readJournal(this.project.journalFile);
    const { daemonStarts } = this.ledger;
    const adopted = runs.filter((run) => daemonStarts.some((at) => run.start < at && run.last > at));
    return { ledger: this.ledger, attempts: runs.length, adopted: adopted.length };
  }

  async #stop() {
    this.close();
    const { code, stderr } = await this.project.run(['stop']);
    if (code !== 0) this.ledger.find('stop ends the daemon', `aiwgd stop ended with ${code}: ${stderr}`);
    lookForLeftovers(this, 'aiwgd stop');
  }
}
