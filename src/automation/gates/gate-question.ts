import { createHash } from 'node:crypto';
import type { Gate } from '../../protocol/automation.js';
import { AiwgdError } from '../../protocol/errors.js';
import { visibleLine, visibleText } from '../../protocol/visible-text.js';
import type { NewGate } from './gate-table.js';

/** What is asked. */
export interface GateQuestion {
  kind: Gate['kind'];
  /** One line. A longer one is cut: `action` has the whole. */
  summary: string;
  /** Exactly what follows a yes, in words or JSON that hide nothing. */
  action: string;
  /** What "always" would stand for; none without it. */
  always?: string | null;
  ruleId: string | null;
  taskId?: string | null;
  /** The run that waits for the answer. */
  runId: string;
  expireMinutes: number;
  causeEventId: string | null;
}

/** Nobody can judge more than this; and it fits into an event and into any answer. */
const MAX_SHOWN_BYTES = 128 * 1024;
const MAX_SUMMARY_LENGTH = 500;
const MINUTE_MS = 60_000;

/** Names the action of one run: the same text of another run has another one. */
export function fingerprintOf(action: string, runId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([runId, action]))
    .digest('hex');
}

/** The gate that asks. Throws INVALID_PARAMS for a question that is too long to be judged. */
export function gateFor(question: GateQuestion, now: number): NewGate {
  const { kind, action, always = null, ruleId, taskId = null, runId, expireMinutes, causeEventId } = question;
  const summary = cut(visibleLine(question.summary));
  const size = Buffer.byteLength(JSON.stringify([summary, visibleText(action), always]));
  if (size > MAX_SHOWN_BYTES) {
    const kib = MAX_SHOWN_BYTES / 1024;
    throw new AiwgdError(
      'INVALID_PARAMS',
      `What follows a yes takes ${Math.ceil(size / 1024)} KiB to show; nobody can judge more than ${kib} KiB. Pass long texts and lists of files in a file.`,
    );
  }
  return {
    kind,
    summary,
    action,
    always,
    fingerprint: fingerprintOf(action, runId),
    runId,
    ruleId,
    taskId,
    causeEventId,
    size,
    createdAt: now,
    expiresAt: now + Math.round(expireMinutes * MINUTE_MS),
  };
}

function cut(summary: string): string {
  if (summary.length <= MAX_SUMMARY_LENGTH) return summary;
  return `${summary.slice(0, MAX_SUMMARY_LENGTH - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
