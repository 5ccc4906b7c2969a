// What a round is judged by, with the few questions that several promises ask of it.
import { readPrompt } from './agent-spec.mjs';
import { byTask } from './journal.mjs';
import { isEndless } from './work.mjs';

export function numberOf(id) {
  return Number(id.slice('task-'.length));
}

export class Evidence {
  #runs;

  /** `tasks` are those of the round, which come after task number `after`, and older ones that were retried in it; `runs`, `ledger` and what was told reach back to the beginning of the project. */
  constructor({ tasks, after, outputs, history, runs, ledger, project }) {
    Object.assign(this, { tasks, outputs, history, runs, ledger, project });
    this.byId = new Map(tasks.map((task) => [task.id, task]));
    this.#runs = byTask(runs);
    // What is lost is not among the tasks: the submits of the round are found by the ids that were answered.
    this.submits = [...ledger.submits].filter(([, { taskIds }]) =>
      taskIds.some((id) => numberOf(id) > after),
    );
  }

  runsOf = (taskId) => this.#runs.get(taskId) ?? [];

  /** Whether an agent of it may have written to a sick disk. */
  hadSickDisk = (task) => {
    const to = Date.parse(task.completedAt ?? '9999-01-01');
    return this.ledger.outages.some((outage) => outage.from <= to && outage.to >= Date.parse(task.createdAt));
  };

  submitOf = (task) => this.ledger.submits.get(readPrompt(task.prompt)?.name)?.submit;

  isEndless = (task) => isEndless(task);

  /** Whether anything but the daemon's own death got in the way of the agent: then it may have run again or not at all. */
  isDisturbed = (task) => {
    const { cancels, hits, stops } = this.ledger;
    const from = Date.parse(task.createdAt);
    const to = Date.parse(task.completedAt ?? '9999-01-01');
    return (
      cancels.has(task.id) ||
      this.ledger.retriesOf(task.id) > 0 ||
      hits.some((hit) => hit.taskId === task.id) ||
      stops.some((stop) => stop.from <= to && stop.to >= from)
    );
  };
}
