import type { Verdict } from './agent-provider.js';

/** The verdict on an attempt that has nothing but a reason. */
export function failedVerdict(error: string, failureClass: Verdict['failureClass']): Verdict {
  const nothing = { result: null, sessionId: null, costUsd: null, usage: null, retryAt: null };
  return { ok: false, error, failureClass, ...nothing, tokens: null, sessionTotals: null, surprises: [] };
}
