// How many events a second a thousand rules are asked about: finding those that an event triggers, and their conditions.
import { Conditions } from '#aiwgd/automation/rules/conditions.js';
import { RuleIndex } from '#aiwgd/automation/rules/rule-index.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { inTurns, perSecond } from '../measure.mjs';

const RULES = 1_000;
const LEAST = 20_000;

export async function rules({ turns, ruleEvents }) {
  const configured = rulesOf(RULES);
  const index = new RuleIndex(configured);
  const conditions = new Map(configured.map((rule) => [rule.id, new Conditions(rule.conditions)]));
  const facts = { now: Date.now(), throttledUntil: () => null };
  const events = Array.from({ length: 10_000 }, (_, number) => eventOf(number));
  const evaluate = () => {
    let fired = 0;
    for (let number = 0; number < ruleEvents; number += 1) {
      const event = events[number % events.length];
      for (const { id } of index.candidates(event)) {
        if (conditions.get(id).now(event, facts) !== 'false') fired += 1;
      }
    }
    if (fired === 0) throw new Error('no rule fired: nothing was measured');
  };
  const { ours } = await inTurns(turns, { ours: () => perSecond(ruleEvents, evaluate) }, { warmUp: true });
  return [
    {
      name: 'rule evaluation, 1,000 rules',
      unit: '/s',
      limit: null,
      ours,
      ratio: null,
      goal: `≥ ${LEAST.toLocaleString('en')}`,
      met: ours >= LEAST,
    },
  ];
}

/** Half of them over files, a tenth of those in the whole tree; half over events, some by glob; all with conditions. */
function rulesOf(count) {
  const action = { type: 'gate' };
  const config = {
    watch: { paths: ['src'] },
    rules: Array.from({ length: count }, (_, number) => ({
      id: `r${number}`,
      action,
      trigger: triggerOf(number),
      conditions: [
        { field: 'payload.size', operator: 'gt', value: number % 100 },
        {
          type: 'not',
          conditions: [{ field: 'payload.path', operator: 'matches', value: '\\.(test|spec)\\.' }],
        },
        { type: 'any', conditions: [{ type: 'debounce', interval_ms: 500 }, { type: 'always' }] },
      ],
    })),
  };
  const parsed = parseConfig(JSON.stringify(config), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.rules;
}

function triggerOf(number) {
  if (number % 2 === 0) {
    const pattern = number % 20 === 0 ? `**/*.e${number}` : `src/part${number % 100}/**/*.{ts,js}`;
    return { type: 'file_change', pattern };
  }
  if (number % 10 === 1) return { type: 'event', topic: `build${number % 50}.**` };
  return { type: 'event', topic: `build${number % 200}.step.done` };
}

function eventOf(number) {
  const base = { id: `e${number}`, timestamp: new Date().toISOString() };
  const payload = { path: `src/part${number % 100}/deep/down/file${number}.ts`, size: number % 200 };
  return number % 2 === 0
    ? { ...base, type: 'file.modify', source: 'file_watcher', payload }
    : { ...base, type: `build${number % 200}.step.done`, source: 'rpc', payload };
}
