import type { Gate, GateState } from '../../protocol/automation.js';
import type { Color, Paint } from '../output/color.js';
import { formatRelative } from '../output/format.js';
import { visibleLine, visibleText } from '../output/text.js';
import { permissionLines } from './permission-lines.js';

const STATE_COLORS: Record<GateState, Color> = {
  pending: 'yellow',
  approved: 'green',
  rejected: 'red',
  expired: 'dim',
};

/** What is done after a yes, whole: behind a bar, so that no text of it can pass for one of ours. */
function actionLines(gate: Gate, paint: Paint): string[] {
  const permission = gate.kind === 'permission' ? permissionLines(gate.action) : undefined;
  const lines = permission ?? visibleText(gate.action).trimEnd().split('\n');
  return lines.map((line) => `    ${paint('dim', '│')} ${line}`);
}

function asker(gate: Gate): string {
  const rule = gate.ruleId === null ? '' : ` of rule ${visibleLine(gate.ruleId)}`;
  if (gate.kind === 'permission') return `by the agent of ${visibleLine(gate.taskId ?? 'a task')}`;
  const task = gate.taskId === null ? '' : `, ${visibleLine(gate.taskId)}`;
  return `${gate.kind === 'rule' ? 'before all' : 'within a run'}${rule}${task}`;
}

/** What became of it, or until when it waits. */
function standing(gate: Gate, now: number): string {
  if (gate.state === 'pending') return `expires ${formatRelative(gate.expiresAt, now)}`;
  const by = gate.answeredBy === null ? '' : `by ${visibleLine(gate.answeredBy)}`;
  const reason = gate.reason === null ? '' : visibleLine(gate.reason);
  if (gate.state === 'expired') return 'nobody answered in time';
  return [by, reason].filter((part) => part !== '').join(': ');
}

function gateLines(gate: Gate, now: number, paint: Paint): string[] {
  const what = { pending: 'After a yes', approved: 'What was approved', rejected: 'What was not done' };
  const title = gate.state === 'expired' ? what.rejected : what[gate.state];
  return [
    `${paint('bold', visibleLine(gate.id))}  ${paint(STATE_COLORS[gate.state], gate.state)}  asked ${formatRelative(gate.createdAt, now)} ${asker(gate)}; ${standing(gate, now)}`,
    `  ${visibleLine(gate.summary)}`,
    `  ${title}:`,
    ...actionLines(gate, paint),
    ...(gate.always === null ? [] : [`  always: ${visibleLine(gate.always)}`]),
  ];
}

/** Gates, the oldest first, each with all that it is about. */
export function gateListLines(
  gates: readonly Gate[],
  state: GateState | 'all',
  now: number,
  paint: Paint,
): string[] {
  if (gates.length === 0)
    return [
      state === 'pending' ? 'Nothing waits for an answer' : `No ${state === 'all' ? '' : `${state} `}gates`,
    ];
  const blocks = gates
    .toReversed()
    .flatMap((gate, index) => [...(index === 0 ? [] : ['']), ...gateLines(gate, now, paint)]);
  if (!gates.some((gate) => gate.state === 'pending')) return blocks;
  const canBeForGood = gates.some(({ state: one, always }) => one === 'pending' && always !== null);
  const forGood = canBeForGood ? ' [--always]' : '';
  return [...blocks, '', `Answer with: aiwgd gate approve ID${forGood}, or aiwgd gate reject ID [REASON]`];
}

/** What an answer has come to. */
export function answeredLines(gate: Gate, paint: Paint): string[] {
  const reason = gate.reason === null ? '' : `: ${visibleLine(gate.reason)}`;
  return [
    `${paint('bold', visibleLine(gate.id))} ${paint(STATE_COLORS[gate.state], gate.state)}${reason}  ${visibleLine(gate.summary)}`,
    `  ${gate.state === 'approved' ? 'This is done now' : 'This is not done'}:`,
    ...actionLines(gate, paint),
  ];
}
