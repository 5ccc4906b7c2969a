import type { Clock } from '../../platform/clock.js';
import type { AgentConfig } from '../agent-config.js';
import { retryDelayMs } from '../retry-policy.js';

export const PAUSE_REASONS = ['rate_limit', 'overloaded'] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];

/** What survives a restart of the daemon. */
export interface SavedPause {
  key: string;
  reason: PauseReason;
  /** Wall time in milliseconds since 1970. */
  until: number;
  /** Pauses in a row that nobody told the end of. */
  strikes: number;
}

export interface PauseHooks {
  /** A pause has begun, or lasts longer. */
  onPaused: (pause: SavedPause) => void;
  /** An attempt got through: the provider goes on. */
  onAvailable: (key: string) => void;
  /** What is to be kept has changed. */
  onChanged: (pauses: SavedPause[]) => void;
}

interface Paused extends SavedPause {
  /** The same end by `Clock.monotonic`; what comes first counts, so that a clock that is set back does not hold it up. */
  untilMono: number;
  /** The attempt that is sent ahead after the pause; null while none is. */
  probe: { attemptId: string; since: number } | null;
  /** When others began to follow it, by `Clock.monotonic`; null before. */
  openedAt: number | null;
  /** So many have followed it since. */
  followed: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

const FIRST_BACKOFF_MS = 30 * SECOND;
const SHORTEST_MS = 30 * SECOND;
const LONGEST_MS = DAY;
/** An end of a limit longer ago than this, or further ahead, is a mistake of a clock: it counts as not told. */
const TOLD_TOO_LATE_MS = 5 * MINUTE;
const TOLD_TOO_FAR_MS = 35 * DAY;
/** Claude tries for three minutes by itself before it says that it met a limit; then it would have said so. */
const PROBE_PATIENCE_MS = 5 * MINUTE;
/** Those that waited follow the probe: 1 in the first second, 2 in the next one, then 4, and after this time all. */
const RAMP_SECONDS = 8;

/**
 * What tells one account with a provider from another, as far as we can know: agents of the same program share their
 * limits.
 */
export function pauseKey(config: AgentConfig): string {
  const program = config.provider === 'command' ? config.command[0] : (config.program ?? config.provider);
  return `${config.provider} ${program ?? ''}`;
}

/**
 * Providers that have met a limit. Nothing of such a provider starts until the end that it told; then one attempt is sent
 * ahead, and only when that one gets on do the others follow, few at first: a limit that still holds is met by one.
 */
export class ProviderPauses {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #hooks: PauseHooks;
  readonly #pauses = new Map<string, Paused>();

  constructor(clock: Clock, random: () => number, hooks: PauseHooks) {
    this.#clock = clock;
    this.#random = random;
    this.#hooks = hooks;
  }

  /** Goes on with the pauses of an earlier daemon. None of them lasts longer than a day from now. */
  load(earlier: readonly SavedPause[]): void {
    for (const pause of earlier) {
      const until = Math.min(pause.until, this.#clock.now() + LONGEST_MS);
      this.#begin({ ...pause, until });
    }
  }

  /** How many attempts of a provider may start now. */
  room(key: string): number {
    const pause = this.#current(key);
    if (pause === undefined) return Number.POSITIVE_INFINITY;
    if (pause.openedAt !== null) return Math.max(0, this.#rampOf(pause.openedAt) - pause.followed);
    return this.#isOver(pause) && pause.probe === null ? 1 : 0;
  }

  /** Set while nothing of the provider starts but the attempt that is sent ahead. `until` may be past by then. */
  heldUntil(key: string): number | undefined {
    const pause = this.#current(key);
    return pause === undefined || pause.openedAt !== null ? undefined : pause.until;
  }

  /** What keeps tasks back now: not what is over, and waits only for a task that can be sent ahead. */
  list(): SavedPause[] {
    return [...this.#pauses.keys()].flatMap((key) => {
      const pause = this.#current(key);
      if (pause === undefined || pause.openedAt !== null) return [];
      return this.#isOver(pause) && pause.probe === null ? [] : [savedPart(pause)];
    });
  }

  /** Forgets all providers but these: no attempt could ever show that the others go on. */
  keepOnly(keys: ReadonlySet<string>): void {
    const gone = [...this.#pauses.keys()].filter((key) => !keys.has(key));
    for (const key of gone) this.#pauses.delete(key);
    if (gone.length > 0) this.#changed();
  }

  /** An attempt of the provider starts. */
  started(key: string, attemptId: string): void {
    const pause = this.#current(key);
    if (pause === undefined) return;
    if (pause.openedAt !== null) pause.followed += 1;
    else if (this.#isOver(pause)) pause.probe ??= { attemptId, since: this.#clock.monotonic() };
  }

  /** An attempt gets on: it has an answer of the model. Answers whether others may start for that. */
  progressed(attemptId: string): boolean {
    return this.ended(attemptId, true);
  }

  /**
   * An attempt has ended otherwise than by a limit; one that never began (`launched` false) has shown nothing, and
   * another one is sent ahead. Answers whether others may start for that.
   */
  ended(attemptId: string, launched: boolean): boolean {
    const pause = [...this.#pauses.values()].find(({ probe }) => probe?.attemptId === attemptId);
    if (pause === undefined) return false;
    if (launched) this.#open(pause);
    else pause.probe = null;
    return true;
  }

  /** An attempt has met a limit. Answers until when the provider pauses, in milliseconds since 1970. */
  limited(
    key: string,
    attemptId: string,
    { reason, retryAt }: { reason: PauseReason; retryAt: number | null },
  ): number {
    const pause = this.#current(key);
    const told = this.#told(retryAt);
    const holds = pause !== undefined && pause.openedAt === null && !this.#isOver(pause);
    // Those that were at work when the limit was met all meet it: that is one time, not many.
    if (pause !== undefined && holds && pause.probe?.attemptId !== attemptId) {
      if (told === null || told <= pause.until) return pause.until;
      return this.#pause({ ...savedPart(pause), until: told });
    }
    const strikes = (pause?.strikes ?? 0) + 1;
    const until = told ?? this.#clock.now() + retryDelayMs(FIRST_BACKOFF_MS, strikes, this.#random);
    return this.#pause({ key, reason, until, strikes });
  }

  /** Milliseconds until something changes by itself; null where nothing does. */
  changesInMs(): number | null {
    const waits = [...this.#pauses.keys()].flatMap((key) => {
      const pause = this.#current(key);
      if (pause === undefined) return [];
      if (pause.openedAt !== null) return [SECOND - ((this.#clock.monotonic() - pause.openedAt) % SECOND)];
      if (pause.probe !== null) return [pause.probe.since + PROBE_PATIENCE_MS - this.#clock.monotonic()];
      return this.#isOver(pause) ? [] : [this.#leftOf(pause)];
    });
    return waits.length === 0 ? null : Math.max(1, Math.min(...waits));
  }

  #pause(pause: SavedPause): number {
    this.#begin(pause);
    this.#hooks.onPaused(pause);
    this.#changed();
    return pause.until;
  }

  #begin(pause: SavedPause): void {
    const untilMono = this.#clock.monotonic() + Math.max(0, pause.until - this.#clock.now());
    this.#pauses.set(pause.key, { ...pause, untilMono, probe: null, openedAt: null, followed: 0 });
  }

  #open(pause: Paused): void {
    pause.probe = null;
    pause.openedAt = this.#clock.monotonic();
    pause.followed = 0;
    this.#hooks.onAvailable(pause.key);
    this.#changed();
  }

  /** As it is now: a probe that nothing bad is heard of got through, and after the ramp all is as before. */
  #current(key: string): Paused | undefined {
    const pause = this.#pauses.get(key);
    if (pause === undefined) return undefined;
    const now = this.#clock.monotonic();
    if (pause.probe !== null && now - pause.probe.since >= PROBE_PATIENCE_MS) this.#open(pause);
    if (pause.openedAt === null || now - pause.openedAt < RAMP_SECONDS * SECOND) return pause;
    this.#pauses.delete(key);
    return undefined;
  }

  #rampOf(openedAt: number): number {
    const seconds = Math.floor((this.#clock.monotonic() - openedAt) / SECOND);
    return 2 ** (seconds + 1) - 1;
  }

  #isOver(pause: Paused): boolean {
    return this.#leftOf(pause) <= 0;
  }

  #leftOf({ until, untilMono }: Paused): number {
    return Math.min(until - this.#clock.now(), untilMono - this.#clock.monotonic());
  }

  /** The end of a limit as it was told, within bounds; null where nobody told one that can be. */
  #told(retryAt: number | null): number | null {
    if (retryAt === null) return null;
    const now = this.#clock.now();
    const wait = retryAt - now;
    if (wait < -TOLD_TOO_LATE_MS || wait > TOLD_TOO_FAR_MS) return null;
    return now + Math.min(Math.max(wait, SHORTEST_MS), LONGEST_MS);
  }

  #changed(): void {
    const held = [...this.#pauses.values()].filter((pause) => pause.openedAt === null);
    this.#hooks.onChanged(held.map(savedPart));
  }
}

function savedPart({ key, reason, until, strikes }: SavedPause): SavedPause {
  return { key, reason, until, strikes };
}
