import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const THROTTLED = {
  id: 'log',
  trigger: { type: 'file_change', pattern: 'app.log' },
  condition: { type: 'throttle', interval_ms: 600_000 },
  action: { type: 'emit', topic: 'log.grown' },
};
const RESTING = {
  id: 'rests',
  trigger: { type: 'file_change', pattern: 'app.log' },
  action: { type: 'emit', topic: 'log.read' },
  cooldown: '10m',
};

test('what a throttle or a cooldown keeps away for minutes is one line with a count, not one a second', async () => {
  const rig = await Rig.open({ rules: [THROTTLED, RESTING] });
  for (let second = 0; second < 120; second += 1) {
    rig.change('app.log');
    await rig.pass(1_100);
  }
  await rig.idle();
  expect(rig.trace('log').map(({ outcome, count }) => [outcome, count])).toEqual([
    ['conditions', 119],
    ['fired', 1],
  ]);
  expect(rig.trace('rests').map(({ outcome, count }) => [outcome, count])).toEqual([
    ['dropped', 119],
    ['fired', 1],
  ]);
});
