import { setting, wholeNumber } from '../schema.js';

/** How often an agent may mend work that was not accepted. */
export const verifyRounds = setting(
  wholeNumber(0, 20),
  2,
  'How often the output of a failed `verify` is handed back to the agent before the task counts as failed.',
);
