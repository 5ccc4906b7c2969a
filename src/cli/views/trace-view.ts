import type {
  ActionReport,
  ConditionReport,
  TraceAnswer,
  TraceEntry,
  TraceOutcome,
} from '../../protocol/automation.js';
import type { Color, Paint } from '../output/color.js';
import { formatLocalTime } from '../output/format.js';
import { visibleLine } from '../output/text.js';

/** In words: what the event came to for the rule. */
const OUTCOMES: Record<TraceOutcome, [word: string, color: Color]> = {
  fired: ['fired', 'green'],
  waiting: ['waits', 'cyan'],
  conditions: ['conditions not met', 'dim'],
  held: ['held', 'yellow'],
  self: ['caused by itself', 'dim'],
  dropped: ['dropped', 'yellow'],
  failed: ['failed', 'red'],
};
const CONDITION_SIGNS: Record<ConditionReport['result'], [sign: string, color: Color]> = {
  true: ['✓', 'green'],
  false: ['✗', 'red'],
  open: ['…', 'cyan'],
  skipped: ['·', 'dim'],
};
const ACTION_SIGNS: Record<ActionReport['state'], [sign: string, color: Color]> = {
  done: ['✓', 'green'],
  failed: ['✗', 'red'],
  waiting: ['…', 'dim'],
  running: ['▸', 'cyan'],
  skipped: ['·', 'dim'],
};

function withWhy(text: string, why: string): string {
  return why === '' ? visibleLine(text) : `${visibleLine(text)}: ${visibleLine(why)}`;
}

function times({ count, lastAt }: TraceEntry): string {
  return count === 1 ? '' : ` ×${count}, the last at ${formatLocalTime(Date.parse(lastAt))}`;
}

function entryLines(entry: TraceEntry, paint: Paint): string[] {
  const { at, ruleId, event, outcome, why } = entry;
  const [word, color] = OUTCOMES[outcome];
  const path = event.path === null ? '' : ` ${visibleLine(event.path)}`;
  const reason = why === '' ? '' : `: ${visibleLine(why)}`;
  return [
    `${paint('dim', formatLocalTime(Date.parse(at)))}  ${paint('bold', visibleLine(ruleId))}  ${paint('cyan', visibleLine(event.type))}${path}  ${paint(color, word)}${reason}${paint('dim', times(entry))}`,
    ...entry.conditions.map((condition) => {
      const [sign, signColor] = CONDITION_SIGNS[condition.result];
      return `    ${paint(signColor, sign)} if ${withWhy(condition.condition, condition.why)}`;
    }),
    ...entry.actions.map((action) => {
      const [sign, signColor] = ACTION_SIGNS[action.state];
      return `    ${paint(signColor, sign)} ${withWhy(`${action.type} ${action.state}`, action.detail)}`;
    }),
  ];
}

/** Why rules fired, or did not: the newest last, where the eye is. */
export function traceLines({ entries, unseen }: TraceAnswer, paint: Paint): string[] {
  const never = unseen.map(
    ({ ruleId, why }) =>
      `${paint('bold', visibleLine(ruleId))}  ${paint('yellow', 'nothing has triggered it yet')}: ${visibleLine(why)}`,
  );
  const lines = entries.toReversed().flatMap((entry) => entryLines(entry, paint));
  if (lines.length === 0 && never.length === 0) return ['Nothing has triggered a rule yet'];
  return lines.length > 0 && never.length > 0 ? [...lines, '', ...never] : [...lines, ...never];
}
