/**
 * Why an attempt is ended from outside. An attempt has one ending: the first verb begins it, a later one of higher
 * rank only changes what the ending is called.
 */
const RANK = {
  /** It has given its result and does not exit. */
  finished: 0,
  /** It has written nothing for as long as its agent may. */
  stalled: 1,
  /** The daemon stops. */
  stop: 2,
  timeout: 3,
  cancel: 4,
  /** Another daemon owns the task now. */
  lost: 5,
} as const;
export type Verb = keyof typeof RANK;

/** Whether a word that was read somewhere is one. */
export function isVerb(word: string): word is Verb {
  return Object.hasOwn(RANK, word);
}

/** Whether `verb` changes what an ending that is called `begun` is called. */
export function outranks(verb: Verb, begun: Verb | null): boolean {
  return begun === null || RANK[verb] > RANK[begun];
}
