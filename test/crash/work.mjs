// The steps of the work track: what users and programs ask of a daemon.
import { readPrompt } from './agent-spec.mjs';
import { isFinal } from './ledger.mjs';

/** How often somebody who lost the answer submits again; with the same key, so that it makes no second task. */
const SUBMITS_WITH_KEY = 3;

export const WORK_STEPS = {
  submit: (lab, { submit }) => submitOnce(lab, submit),

  submitMany: (lab, { submits }) => Promise.all(submits.map((submit) => submitOnce(lab, submit))),

  async submitWithKey(lab, { submits }) {
    await Promise.all(
      submits.map(async (submit) => {
        for (let turn = 0; turn < SUBMITS_WITH_KEY; turn += 1) {
          if (await submitOnce(lab, submit)) return;
        }
      }),
    );
  },

  async submitByCommand(lab, { submit }) {
    const { prompt, priority, delayMs, retries } = submit;
    const options = ['--json'];
    if (priority !== undefined) options.push(`--priority=${priority}`);
    if (delayMs !== undefined) options.push('--delay', `${Math.ceil(delayMs / 1000)}s`);
    if (retries !== undefined) options.push('--retries', String(retries));
    const { maxAttempts: _, ...asked } = submit;
    const { name } = readPrompt(prompt);
    lab.ledger.submitted(name, asked);
    const { code, stdout, stderr } = await command(lab, ['task', 'submit', '-', ...options], {
      input: prompt,
    });
    if (code === 0) lab.ledger.acknowledged(name, JSON.parse(stdout).taskId);
    else unlessLost(lab, 'task submit', code, stderr);
  },

  async cancel(lab, { at }) {
    const task = await chosen(lab, at, (one) => !isFinal(one.state));
    if (task !== undefined) await cancel(lab, task.id);
  },

  async retry(lab, { at }) {
    // A key may be taken by another task meanwhile: that is another question.
    const task = await chosen(lab, at, (one) => isFinal(one.state) && one.key === null && !isEndless(one));
    if (task === undefined) return;
    lab.ledger.retryAsked(task.id);
    await lab.call((client) => client.task.retry({ taskId: task.id }), { expect: ['CONFLICT'] });
  },

  async reload(lab, { parallel }) {
    await lab.exclusive(async () => {
      lab.project.configure({ parallel });
      lab.allow(parallel);
      const { code, stderr } = await command(lab, ['reload']);
      if (code !== 0) unlessLost(lab, 'reload', code, stderr);
    });
  },

  async badReload(lab) {
    await lab.exclusive(async () => {
      const before = lab.project.configText();
      lab.project.writeConfig('{"daemon": {"max_parallel_actions": "many"}}');
      const { code } = await command(lab, ['reload']);
      if (code === 0) lab.ledger.find('a bad configuration is refused', 'aiwgd reload ended with 0');
      lab.project.writeConfig(before);
    });
  },

  async follow(lab, { at }) {
    const task = await chosen(lab, at, (one) => !isFinal(one.state) && !isEndless(one));
    if (task !== undefined) lab.background(follow(lab, task.id));
  },

  async read(lab, { at }) {
    const task = await chosen(lab, at, (one) => isFinal(one.state));
    if (task === undefined) return;
    const { code, stdout, stderr } = await command(lab, ['task', 'get', task.id, '--json']);
    if (code === 0) lab.ledger.tell(JSON.parse(stdout), 'task get');
    else unlessLost(lab, 'task get', code, stderr);
  },
};

/** Whether it was acknowledged. */
async function submitOnce(lab, submit) {
  const { name } = readPrompt(submit.prompt);
  lab.ledger.submitted(name, submit);
  const answer = await lab.call((client) => client.task.submit(submit));
  if (answer === undefined) return false;
  lab.ledger.acknowledged(name, answer.taskId);
  return true;
}

export async function cancel(lab, taskId) {
  lab.ledger.cancelAsked(taskId);
  const answer = await lab.call((client) => client.task.cancel({ taskId }));
  if (answer?.cancelled) lab.ledger.cancelAcknowledged(taskId);
}

export function isEndless({ prompt }) {
  return (readPrompt(prompt)?.spec.linger ?? 0) > 1000;
}

/** One of the newest tasks that fit, by its place in the list. */
async function chosen(lab, at, fits) {
  const tasks = await lab.call((client) => client.task.list({ limit: 60 }));
  if (tasks === undefined) return undefined;
  for (const task of tasks) lab.ledger.tell(task, 'task.list');
  const fitting = tasks.filter(fits);
  return fitting[Math.floor(at * fitting.length)];
}

/** A client that reconnects by itself and wants the whole of the output, whatever happens to the daemon. */
async function follow(lab, taskId) {
  const client = await lab.project.connect({ reconnect: true });
  if (client === undefined) return;
  const record = { taskId, attempts: new Map(), ended: false };
  lab.ledger.follows.push(record);
  try {
    const output = client.output(taskId, { signal: lab.roundEnds });
    for await (const { attempt, stream, data } of output) {
      if (stream === 'stdout') record.attempts.set(attempt, (record.attempts.get(attempt) ?? '') + data);
    }
    record.ended = true;
  } catch (error) {
    if (!lab.roundEnds.aborted) {
      lab.ledger.find('output can be followed through a crash', `${taskId}: ${error.code}: ${error.message}`);
    }
  } finally {
    client.close();
  }
}

async function command(lab, args, options) {
  const { counts } = lab.ledger;
  counts.commands[args[0]] = (counts.commands[args[0]] ?? 0) + 1;
  return lab.project.run(args, options);
}

/** A command may find no daemon, or lose it: it has to say so. */
function unlessLost(lab, name, code, stderr) {
  const lost = code === 3 || /connection|stopping|not running/i.test(stderr);
  if (!lost && lab.tolerated.length === 0)
    lab.ledger.find('a command says how it ended', `aiwgd ${name} ended with ${code}: ${stderr.trim()}`);
}
