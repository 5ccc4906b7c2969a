import { Option } from '../commander.js';

/** For what makes tasks and events. */
export const causeOption = new Option(
  '--cause <id>',
  'the task or event that brings it about (default: within an agent, its task)',
);
