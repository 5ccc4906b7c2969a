import { plural } from '../output/format.js';

/** What a start says of the tasks that an earlier daemon left running. */
export function takenOverLines(count: number): string[] {
  return count === 0 ? [] : [`${plural(count, 'running task')} taken over`];
}
