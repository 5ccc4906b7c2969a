import { readdirSync, readFileSync } from 'node:fs';
import type { Clock, Timer } from '../platform/clock.js';
import { libc } from '../platform/libc.js';

const SCAN_INTERVAL_MS = 2000;

/**
 * As pid 1 of a container, orphans of every agent become our children, and a dead one stays a zombie until we ask for
 * it. Node only asks for children that it spawned. So zombies are looked for; one is reaped when it is seen in two
 * scans in a row: Node takes the exit of its own children between two timers, so those are never taken from it.
 * Returns the way to stop. Linux only; elsewhere pid 1 is never ours.
 */
export function reapOrphans(clock: Clock): () => void {
  let before = new Set<number>();
  let timer: Timer;
  const scan = (): void => {
    const zombies = zombieChildren();
    for (const pid of zombies) if (before.has(pid)) libc().reap(pid);
    before = new Set(zombies);
    timer = clock.setTimer(SCAN_INTERVAL_MS, scan);
  };
  timer = clock.setTimer(SCAN_INTERVAL_MS, scan);
  return () => timer.cancel();
}

function zombieChildren(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return state === 'Z' && Number(parent) === process.pid;
      } catch {
        // It ended between the listing and the look: nothing to reap.
        return false;
      }
    });
}
