// What a person waits for: commands of the CLI against Node itself.
import { inTurns, milliseconds, ratioRow } from '../measure.mjs';
import { script, withProject } from '../project.mjs';

/** `start`, `status`, `task submit` and `stop`. */
export function commands({ turns }) {
  return withProject({ agents: { quick: script('exit 0') } }, async (project) => {
    const timed = (...args) => milliseconds(() => project.run(...args));
    const took = await inTurns(
      turns,
      {
        bare: () => milliseconds(() => project.node('-e', '0')),
        start: () => timed('start'),
        status: () => timed('status'),
        submit: () => timed('task', 'submit', 'do it'),
        stop: () => timed('stop'),
      },
      { warmUp: true },
    );
    const row = (name, ours, most) => ratioRow(name, { unit: 'ms', limit: took.bare, ours, most });
    return [
      row('`start` until it returns ready', took.start, 6),
      row('`status`', took.status, 1.8),
      row('`task submit`', took.submit, 1.8),
      row('`stop`, idle', took.stop, 5),
    ];
  });
}
