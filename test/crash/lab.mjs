// The bench on which a round is tried: a project, what is known of it, and a client that comes back after each kill.
import { Ledger } from './ledger.mjs';
import { comesTrue, daemonsOf, lives, pause, uptime } from './processes.mjs';
import { watchEvents } from './watchers.mjs';

/** Errors that say: the daemon was killed, stopped or is not there; whether the call was carried out is unknown. */
const LOST = new Set(['CONNECTION_LOST', 'DAEMON_NOT_RUNNING', 'DAEMON_STOPPING']);
const DAEMON_BACK_MS = 30_000;

/** Longer than a busy machine takes; a daemon that stands still is woken or killed before. */
const ANSWER_MS = 30_000;

/** Rejects when the answer does not come; the text of the function names the call. */
async function answered(answer, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_MS} ms to ${work}`)), ANSWER_MS);
  });
  try {
    return await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export class Lab {
  ledger = new Ledger();
  /** Errors that a fault brings with it. */
  tolerated = [];
  #client;
  #mutex = Promise.resolve();

  constructor(project) {
    this.project = project;
  }

  /** Runs pieces of work that must not overlap, such as a start and a time with a bad configuration. */
  exclusive(work) {
    const done = this.#mutex.then(work);
    this.#mutex = done.catch(() => {});
    return done;
  }

  /** Starts the daemon (or restarts it), which has to work every time. */
  start(command = 'start') {
    return this.exclusive(async () => {
      const { code, stderr, ms } = await this.project.run([command]);
      this.ledger.counts.starts += 1;
      this.ledger.counts.slowestStart = Math.max(this.ledger.counts.slowestStart, ms);
      if (code !== 0) {
        this.ledger.find(
          'the daemon starts every time',
          `aiwgd ${command} ended with ${code}: ${stderr.trim()}`,
        );
        return;
      }
      await this.started();
    });
  }

  /** A daemon has come up: it is the only one, and its events are listened to. */
  async started() {
    this.ledger.daemonStarts.push(uptime());
    void watchEvents(this);
    const alone = await comesTrue(() => daemonsOf(this.project.root).length === 1, 5000);
    if (!alone) {
      const pids = daemonsOf(this.project.root).join(', ');
      this.ledger.find('a project has one daemon', `after a start there run ${pids || 'none'}`);
    }
  }

  /** Ends the daemon as a crash does; answers whether there was one. */
  async killDaemon() {
    const daemon = this.project.daemon();
    if (daemon === undefined) return false;
    process.kill(daemon.pid, 'SIGKILL');
    this.ledger.deaths.push(Date.now());
    this.ledger.killed('daemon');
    await comesTrue(() => !lives(daemon), 5000);
    return true;
  }

  /** Calls the daemon. Undefined when the connection was lost: then nobody knows whether it was carried out. */
  async call(work, { expect = [] } = {}) {
    const client = await this.#connected();
    if (client === undefined) return undefined;
    try {
      return await answered(work(client), work);
    } catch (error) {
      if (LOST.has(error.code)) {
        this.#drop(client);
        return undefined;
      }
      if (![...expect, ...this.tolerated].includes(error.code)) {
        this.ledger.find(
          'a call is answered, or its connection is lost',
          `${error.code ?? 'nothing'}: ${error.message}`,
        );
      }
      return undefined;
    }
  }

  /** As `call`, again until it is answered; for calls that only read. */
  async ask(work) {
    for (let turn = 0; turn < 50; turn += 1) {
      const answer = await this.call(work);
      if (answer !== undefined) return answer;
      await pause(20);
    }
    throw new Error('the daemon did not answer in fifty turns');
  }

  async #connected() {
    if (this.#client !== undefined) return this.#client;
    await comesTrue(async () => {
      this.#client ??= await this.project.connect();
      return this.#client !== undefined;
    }, DAEMON_BACK_MS);
    return this.#client;
  }

  #drop(client) {
    client.close();
    if (this.#client === client) this.#client = undefined;
  }

  close() {
    this.#client?.close();
    this.#client = undefined;
  }
}
