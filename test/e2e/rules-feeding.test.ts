import { expect, it } from 'vitest';
import type { TraceAnswer } from '#aiwgd/protocol/automation.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

/** Says over the socket what its argument is, and waits for the answer. */
const SAY = `
  const socket = require('net').connect(process.argv[1] + '/.aiwg/daemon/daemon.sock');
  socket.once('data', () => socket.end());
  socket.write(JSON.stringify({ jsonrpc: '2.0', id: 1, method: process.argv[2], params: JSON.parse(process.argv[3]) }) + '\\n');
`;

function says(method: string, params: object): string {
  const call = [process.execPath, '-e', SAY].map((word) => `'${word.replaceAll("'", `'"'"'`)}'`).join(' ');
  return `cat > /dev/null; env -i ${call} "$AIWG_PROJECT" ${method} '${JSON.stringify(params)}'`;
}

it.runIf(process.platform === 'linux')(
  'an agent that calls the daemon by itself, and hides its variables, does not set its own rule off again',
  async () => {
    const p = new Project({
      config: {
        default_agent: 'emits',
        agents: {
          emits: script(says('event.emit', { topic: 'fed' })),
          submits: script(says('task.submit', { prompt: 'more', agent: 'idle' })),
          idle: script('cat'),
        },
        rules: [
          {
            id: 'events',
            trigger: { type: 'event', topic: 'fed' },
            action: { type: 'submit_task', prompt: 'x' },
          },
          {
            id: 'tasks',
            trigger: { type: 'event', topic: 'task:completed' },
            condition: { field: 'payload.agent', operator: 'equals', value: 'idle' },
            action: { type: 'submit_task', prompt: 'x', agent: 'submits' },
          },
        ],
      },
    });
    await p.start();
    await p.run(['events', 'emit', 'fed']);
    await p.run(['task', 'submit', 'first', '--agent', 'idle']);
    const outcomes = async (rule: string): Promise<string[]> => {
      const { entries } = await p.json<TraceAnswer>(['automation', 'trace', '--rule', rule]);
      return entries.map(({ outcome }) => outcome);
    };
    for (const rule of ['events', 'tasks']) {
      await until(`${rule} is passed over`, async () => (await outcomes(rule)).includes('self'));
      expect((await outcomes(rule)).filter((outcome) => outcome === 'fired')).toHaveLength(1);
    }
  },
);
