import { AiwgdError } from '../protocol/errors.js';
import type { AutomationHandlers } from './rpc-handlers.js';

/** The methods of automation, schedule and gates. */
export function automationHandlers(): AutomationHandlers {
  const off = (): never => {
    throw new AiwgdError('CONFLICT', 'Automation does not run.');
  };
  return {
    'automation.status': off,
    'automation.enable': off,
    'automation.disable': off,
    'automation.test': off,
    'automation.trace': off,
    'schedule.list': off,
    'schedule.run': off,
    'gate.list': off,
    'gate.approve': off,
    'gate.reject': off,
  };
}
