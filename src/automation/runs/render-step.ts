import { AiwgdError } from '../../protocol/errors.js';
import { renderArgv, renderJson, renderPrompt, renderText, type TemplateScope } from '../rules/templates.js';
import { ActionFailure } from './action-failure.js';
import type { RunRecord, Step } from './run-records.js';
import { splitOwner } from './run-records.js';

const OF_PREVIOUS = /\{\{\s*previous\./;

/** What the templates of a run's steps are filled in from. */
export function scopeOf(run: RunRecord): TemplateScope {
  const { event, files, count, previous } = run;
  return { event, files, count, ruleId: splitOwner(run.owner)[1], previous };
}

/** Fills in the templates of a step. Throws ActionFailure, which no further try would mend, where a value is missing. */
export function renderStep(step: Step, scope: TemplateScope): Step {
  if (step.rendered === true) return step;
  try {
    return { ...filledIn(step, scope), rendered: true };
  } catch (error) {
    if (!(error instanceof AiwgdError)) throw error;
    throw new ActionFailure(error.message, { cause: error });
  }
}

function filledIn(step: Step, scope: TemplateScope): Step {
  switch (step.type) {
    case 'submit_task':
      return { ...step, prompt: renderPrompt(step.prompt, scope) };
    case 'command':
      return { ...step, command: renderArgv(step.command, scope) as typeof step.command };
    case 'notify':
      return { ...step, message: renderText(step.message, scope) };
    case 'emit':
      return { ...step, payload: renderJson(step.payload, scope) as typeof step.payload };
    case 'gate':
      return step.summary === null ? step : { ...step, summary: renderText(step.summary, scope) };
    case 'webhook':
    case 'built_in':
      return step;
    default:
      return step satisfies never;
  }
}

/**
 * The steps behind a gate as they will be done after a yes: filled in now, so that the answer is for exactly this. What
 * refers to the result of a step that is still to come is filled in when that is known.
 */
export function renderBehindGate(run: RunRecord): Step[] {
  const scope = scopeOf(run);
  return run.steps.map((step, index) => {
    if (index < run.step) return step;
    const waits = index > run.step + 1 && OF_PREVIOUS.test(JSON.stringify(step));
    return waits ? step : renderStep(step, scope);
  });
}
