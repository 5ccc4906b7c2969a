import { setting, wholeNumber } from '../schema.js';
import { DEFAULT_VERIFY_ROUNDS } from '../task.js';

/** How often an agent may mend work that was not accepted. */
export const verifyRounds = setting(
  wholeNumber(0, 20),
  DEFAULT_VERIFY_ROUNDS,
  'How often the output of a failed `verify` is handed back to the agent before the task counts as failed.',
);
