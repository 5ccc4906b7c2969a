import { messageOf } from '../errors.js';

/** The message of what `attempt` throws; undefined when it throws nothing. For constructors that only judge by throwing. */
export function failureOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
