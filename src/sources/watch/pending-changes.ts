/** A path that changed, until it is reported. */
export interface PendingChange {
  path: string;
  /** Wall time of the first and the last change, in milliseconds since 1970. */
  first: number;
  last: number;
  /** Monotonic times: when it was first heard of, and before which it is not reported. */
  heard: number;
  due: number;
}

/** However often a file is written, it is reported after this many times the debounce, and after ten seconds at the most. */
const LONGEST_FACTOR = 10;
const LONGEST_MS = 10_000;

/**
 * The paths that changed, each once, in the order in which they are due: when they have been quiet for the debounce, or
 * at the latest ten times that (ten seconds where that is more) after the first change. There are never more than
 * there are files on the disk and in the table.
 */
export class PendingChanges {
  readonly #changes = new Map<string, PendingChange>();
  /** A heap by `at`. A path stands in it once; that it is due later by now is found out when its turn comes. */
  readonly #heap: { at: number; change: PendingChange }[] = [];
  debounceMs: number;

  constructor(debounceMs: number) {
    this.debounceMs = debounceMs;
  }

  get size(): number {
    return this.#changes.size;
  }

  has(path: string): boolean {
    return this.#changes.has(path);
  }

  /** Wall time of the first change that waits, about; undefined where none does. */
  get oldest(): number | undefined {
    for (const { first } of this.#changes.values()) return first;
    return undefined;
  }

  /** The path changed between `first` and `last`: it is due when it has been quiet for `quietMs` from `now` (monotonic) on. */
  touch(path: string, first: number, last: number, now: number, quietMs = this.debounceMs): void {
    const known = this.#changes.get(path);
    if (known === undefined) {
      this.#add({ path, first, last, heard: now, due: now + quietMs });
      return;
    }
    known.first = Math.min(known.first, first);
    known.last = Math.max(known.last, last);
    const latest = known.heard + Math.max(this.debounceMs * LONGEST_FACTOR, LONGEST_MS);
    known.due = Math.max(known.due, Math.min(now + quietMs, latest));
  }

  /** The path has not changed after all, or is out of view. */
  forget(path: string): void {
    this.#changes.delete(path);
  }

  forgetIf(judge: (path: string) => boolean): void {
    for (const path of this.#changes.keys()) if (judge(path)) this.#changes.delete(path);
  }

  /** Takes out up to `limit` paths that are due at `now`. */
  take(now: number, limit: number): PendingChange[] {
    const taken: PendingChange[] = [];
    while (taken.length < limit) {
      const change = this.#settledTop();
      if (change === undefined || change.due > now) break;
      this.#pop();
      this.#changes.delete(change.path);
      taken.push(change);
    }
    return taken;
  }

  /** Gives back what could not be reported: it is due again at `due`. */
  giveBack(changes: readonly PendingChange[], due: number): void {
    for (const change of changes) {
      const newer = this.#changes.get(change.path);
      if (newer === undefined) this.#add({ ...change, due });
      else newer.first = Math.min(newer.first, change.first);
    }
  }

  /** Monotonic time at which the next path is due; undefined where none waits. */
  nextDue(): number | undefined {
    return this.#settledTop()?.due;
  }

  #add(change: PendingChange): void {
    this.#changes.set(change.path, change);
    this.#push(change);
  }

  /** The change that is due first, once the top of the heap is one that still waits, under its present time. */
  #settledTop(): PendingChange | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined) return undefined;
      const stands = this.#changes.get(top.change.path) === top.change;
      if (stands && top.at >= top.change.due) return top.change;
      this.#pop();
      if (stands) this.#push(top.change);
    }
  }

  #push(change: PendingChange): void {
    const heap = this.#heap;
    const item = { at: change.due, change };
    let index = heap.push(item) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = heap[above];
      if (other === undefined || other.at <= item.at) break;
      heap[index] = other;
      index = above;
    }
    heap[index] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const item = heap.pop();
    if (item === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = index * 2 + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) break;
      if (right !== undefined && right.at < left.at) below += 1;
      const least = heap[below];
      if (least === undefined || least.at >= item.at) break;
      heap[index] = least;
      index = below;
    }
    heap[index] = item;
  }
}
