// A process that looks like an agent of another project: nobody may touch it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lives, statOf } from './processes.mjs';

/** Notes every signal that can be noted, and goes on. */
const SCRIPT = `for name in HUP INT TERM USR1 USR2; do trap "echo $name >> '$SIGNALS'" $name; done
while :; do sleep 5 & wait $!; done`;

const living = new Set();

/** However the laboratory ends. */
export function endDecoys() {
  for (const decoy of living) decoy.end();
}

export class Decoy {
  #process;
  #signals;

  constructor({ base, root, environment }) {
    this.#signals = join(base, 'signals');
    const child = spawn('/bin/sh', ['-c', SCRIPT], {
      env: {
        PATH: environment.PATH,
        SIGNALS: this.#signals,
        // Begins like ours, so that a comparison of beginnings would be seen.
        AIWG_PROJECT: `${root}-of-somebody-else`,
        AIWG_TASK_ID: 'task-0001',
        AIWG_ATTEMPT_ID: randomUUID(),
      },
      detached: true,
      stdio: 'ignore',
    });
    child.unref();
    this.#process = statOf(child.pid);
    living.add(this);
  }

  isUntouched() {
    return lives(this.#process) && !existsSync(this.#signals);
  }

  whatHappened() {
    const signals = existsSync(this.#signals) ? readFileSync(this.#signals, 'utf8').trim().split('\n') : [];
    return `a process of another project got ${signals.join(', ') || 'no signal'}; it ${lives(this.#process) ? 'lives' : 'is gone'}`;
  }

  /** Ends it with its sleep. */
  end() {
    living.delete(this);
    if (lives(this.#process)) process.kill(-this.#process.pid, 'SIGKILL');
  }
}
