import { visibleText } from '../../protocol/visible-text.js';
import type { Step } from './run-records.js';

/** One step in words that hide nothing: what a person agrees to at a gate. */
export function stepWords(step: Step): string {
  switch (step.type) {
    case 'submit_task':
      return `submit a task to ${step.agent === null ? 'the default agent' : `the agent ${step.agent}`}${checkWords(step)}: ${visibleText(step.prompt)}`;
    case 'command':
      return `run ${step.command.map((word) => JSON.stringify(word)).join(' ')}`;
    case 'notify':
      return `notify (${step.severity}): ${visibleText(step.message)}`;
    case 'webhook':
      return `send the event to ${step.url}`;
    case 'emit':
      return `publish the event ${step.topic} ${JSON.stringify(step.payload)}`;
    case 'gate':
      return 'wait for an approval';
    case 'built_in':
      return `run the built-in action ${step.name}`;
    default:
      return step satisfies never;
  }
}

function checkWords({ verify = null }: { verify?: readonly string[] | null }): string {
  return verify === null ? '' : `, whose work ${verify.map((word) => JSON.stringify(word)).join(' ')} judges`;
}
