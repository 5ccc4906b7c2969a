/** Most characters of a topic or of a glob over topics. */
export const MAX_TOPIC_LENGTH = 256;

const TOPIC = /^[A-Za-z0-9_/*-]+([.:][A-Za-z0-9_/*-]+)*$/;

/** Whether `topic` can be the type of an event: segments of letters, digits, `_`, `-`, `/`, joined by `.` or `:`. */
export function isTopic(topic: string): boolean {
  return topic.length <= MAX_TOPIC_LENGTH && !topic.includes('*') && TOPIC.test(topic);
}

/** Most wildcards in a glob: the time to match grows with their power, and a client of the socket may send any glob. */
export const MAX_TOPIC_WILDCARDS = 3;

/** Whether `glob` can be matched against topics. */
export function isTopicGlob(glob: string): boolean {
  const wildcards = glob.match(/\*+/g)?.length ?? 0;
  return glob.length <= MAX_TOPIC_LENGTH && wildcards <= MAX_TOPIC_WILDCARDS && TOPIC.test(glob);
}

/**
 * Compiles a glob over topics: `*` matches within a segment, `**` across segments, a lone `*` everything.
 * The two separators are told apart: `task:*` does not match `task.done`.
 */
export function topicMatcher(glob: string): (topic: string) => boolean {
  if (glob === '*' || glob === '**') return () => true;
  if (!glob.includes('*')) return (topic) => topic === glob;
  const pattern = glob
    .split(/(\*+)/)
    .map((part) => {
      if (part === '*') return '[^.:]*';
      if (part.startsWith('*')) return '.*';
      return part.replaceAll('.', '\\.');
    })
    .join('');
  const expression = new RegExp(`^${pattern}$`);
  return (topic) => expression.test(topic);
}
