import { type Clock, sleep } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { AiwgdError } from '../protocol/errors.js';
import type { AiwgEvent, NewEvent } from '../protocol/event.js';
import { isTopic, isTopicGlob, topicMatcher } from '../protocol/topic.js';
import { DeadLetters } from './dead-letters.js';
import { EventHistory } from './event-history.js';
import { EventIds } from './event-ids.js';
import { MAX_RECORDED_BYTES, roughSize } from './event-size.js';
import {
  DELIVERIES,
  type EventHandler,
  SubscriberGoneError,
  SubscriberQueue,
  type SubscriberStatus,
} from './subscriber-queue.js';

/** Events that may wait for one subscriber. */
const MAX_WAITING = 100_000;
/** Told when a queue has let events go; payload `{subscriber, dropped}`. A full queue does not take it itself. */
const OVERFLOW_TOPIC = 'router.overflow';
/** Topics whose receivers are remembered. */
const MAX_ROUTES = 1000;
/** Size up to which events are told apart by size. */
const MEASURE_LIMIT = 64 * MAX_RECORDED_BYTES;

export interface EventRouterOptions {
  /** Folder of the history and the dead letters; made where it is missing. */
  directory: string;
  clock: Clock;
  log: Log;
  /** In [0, 1), for the jitter of retries; Math.random where not given. */
  random?: () => number;
  /** Events that may wait for one subscriber; 100,000 where not given. */
  maxWaiting?: number;
  /** Told once when the history or the dead letters cannot be written, and with null when they can again. */
  onFault?: (part: 'history' | 'dead-letters', error: Error | null) => void;
}

export interface Subscription {
  /** Ends it at once; events that wait for it are forgotten. */
  close(): void;
}

export interface RouterStatus {
  subscribers: SubscriberStatus[];
  taps: number;
  /** Events taken since the start. */
  published: number;
  deadLetters: number;
}

export interface RouterCloseReport {
  /** Subscribers that had not handled everything when the time was up, with the number of events. */
  left: { subscriber: string; events: number }[];
}

interface Tap {
  listener: (event: AiwgEvent) => void;
  active: boolean;
  faulty: boolean;
}

interface Route {
  queues: SubscriberQueue[];
  taps: Tap[];
}

interface Entry<T> {
  matchers: ((topic: string) => boolean)[];
  receiver: T;
}

/**
 * Brings every event to all who asked for its topic. Each subscriber has a queue of its own: it gets each matching
 * event at least once and in order, however slow the others are; an event that it fails to handle four times becomes a
 * dead letter. The last 1000 events are kept as history.
 */
export class EventRouter {
  readonly history: EventHistory;
  readonly deadLetters: DeadLetters;
  readonly #options: EventRouterOptions;
  readonly #ids: EventIds;
  readonly #subscribers = new Map<string, Entry<SubscriberQueue>>();
  readonly #taps = new Set<Entry<Tap>>();
  /** Receivers by topic: the globs are matched once for each topic, not for each event. */
  readonly #routes = new Map<string, Route>();
  #following: AiwgEvent[] = [];
  #published = 0;
  #refused = 0;
  #closing: Promise<RouterCloseReport> | undefined;

  constructor(options: EventRouterOptions) {
    const { directory, clock, log, onFault } = options;
    this.#options = options;
    this.#ids = new EventIds(clock);
    this.history = new EventHistory({
      directory,
      clock,
      log,
      onFault: (error) => onFault?.('history', error),
    });
    if (this.history.newest !== undefined) this.#ids.continueAfter(this.history.newest.id);
    this.deadLetters = new DeadLetters({
      directory,
      clock,
      log,
      newId: () => this.#ids.next(),
      redeliver: (subscriber, event) => this.#queue(subscriber).redeliver(event),
      onFault: (error) => onFault?.('dead-letters', error),
    });
  }

  /**
   * Stamps the event with id and time, and queues it for everybody whom it concerns; handlers run later. The payload
   * must not be changed afterwards. Throws INVALID_PARAMS for a type that is no topic. Once the router is closing,
   * the event is stamped and returned, but goes nowhere.
   */
  publish(input: NewEvent): AiwgEvent {
    const { type, source, payload, cause } = input;
    if (!isTopic(type)) {
      throw new AiwgdError(
        'INVALID_PARAMS',
        `Not a topic: ${JSON.stringify(type)}. A topic is segments of letters, digits, _, - or /, joined by . or :`,
      );
    }
    const event: AiwgEvent = {
      id: this.#ids.next(),
      type,
      source,
      timestamp: new Date(this.#options.clock.now()).toISOString(),
      payload,
    };
    if (cause !== undefined) event.cause = cause;
    if (this.#closing === undefined) this.#dispatch(event);
    else this.#refused += 1;
    return event;
  }

  /**
   * Delivers every event whose topic matches one of `globs` to `handler`, one after the other. `name` stands in dead
   * letters, which find their subscriber again by it: keep it the same over restarts. CONFLICT where it is taken,
   * INVALID_PARAMS for a bad glob.
   */
  subscribe(name: string, globs: readonly string[], handler: EventHandler): Subscription {
    if (this.#subscribers.has(name)) {
      throw new AiwgdError('CONFLICT', `There is a subscriber "${name}" already; names must be unique.`);
    }
    const { clock, random, maxWaiting } = this.#options;
    const queue = new SubscriberQueue({
      name,
      handler,
      clock,
      random: random ?? Math.random,
      maxWaiting: maxWaiting ?? MAX_WAITING,
      onDead: (event, error) =>
        this.deadLetters.add({ event, subscriber: name, error, attempts: DELIVERIES }),
      onOverflow: (dropped) => this.#tellOverflow(name, dropped),
    });
    this.#subscribers.set(name, { matchers: compile(globs), receiver: queue });
    this.#routes.clear();
    return {
      close: () => {
        if (this.#subscribers.get(name)?.receiver !== queue) return;
        this.#subscribers.delete(name);
        this.#routes.clear();
        queue.close();
      },
    };
  }

  /**
   * Calls `listener` within `publish` for every event whose topic matches: cheap, with no queue, no retry and no dead
   * letters. It must be quick and must not publish. One that throws misses that event only (the first time is logged),
   * so that a fault in one event does not silence a client's stream for good.
   */
  tap(globs: readonly string[], listener: (event: AiwgEvent) => void): Subscription {
    const tap: Tap = { listener, active: true, faulty: false };
    const entry = { matchers: compile(globs), receiver: tap };
    this.#taps.add(entry);
    this.#routes.clear();
    return {
      close: () => {
        tap.active = false;
        if (this.#taps.delete(entry)) this.#routes.clear();
      },
    };
  }

  status(): RouterStatus {
    return {
      subscribers: Array.from(this.#subscribers.values(), ({ receiver }) => receiver.status()),
      taps: this.#taps.size,
      published: this.#published,
      deadLetters: this.deadLetters.size,
    };
  }

  /**
   * Takes no more events, gives the subscribers `graceMs` to handle what waits for them, then ends them and writes
   * history and dead letters. Calls after the first share its outcome.
   */
  close(options: { graceMs: number }): Promise<RouterCloseReport> {
    this.#closing ??= this.#close(options.graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<RouterCloseReport> {
    const { clock, log } = this.#options;
    const queues = Array.from(this.#subscribers.values(), ({ receiver }) => receiver);
    const drained = new AbortController();
    const allIdle = Promise.all(queues.map((queue) => queue.whenIdle())).then(() => drained.abort());
    await sleep(clock, graceMs, drained.signal);
    const left = queues
      .filter((queue) => queue.unfinished > 0)
      .map((queue) => ({ subscriber: queue.name, events: queue.unfinished }));
    for (const queue of queues) queue.close();
    await allIdle;
    this.#subscribers.clear();
    this.#taps.clear();
    this.#routes.clear();
    this.history.close();
    this.deadLetters.close();
    if (left.length > 0) log.warn({ left }, 'Subscribers had not handled all events when the router closed');
    if (this.#refused > 0) log.info({ count: this.#refused }, 'Events came too late and went nowhere');
    return { left };
  }

  #queue(name: string): SubscriberQueue {
    const queue = this.#subscribers.get(name)?.receiver;
    if (queue === undefined) throw new SubscriberGoneError(name);
    return queue;
  }

  /** An event that comes about while another is dispatched (its writing fails, say) follows it: order is that of ids. */
  #dispatch(event: AiwgEvent): void {
    this.#following.push(event);
    if (this.#following.length > 1) return;
    try {
      for (let next: AiwgEvent | undefined = event; next !== undefined; next = this.#following[0]) {
        this.#dispatchOne(next);
        this.#following.shift();
      }
    } finally {
      this.#following = [];
    }
  }

  #dispatchOne(event: AiwgEvent): void {
    this.#published += 1;
    this.#options.log.debug({ event: event.id, topic: event.type, source: event.source }, 'Event published');
    const bytes = roughSize(event.payload, MEASURE_LIMIT);
    this.history.add(event, bytes);
    const { queues, taps } = this.#route(event.type);
    const parcel = { event, bytes };
    for (const queue of queues) {
      if (event.type === OVERFLOW_TOPIC && queue.isFull) continue;
      queue.push(parcel);
    }
    for (const tap of taps) {
      if (tap.active) this.#callTap(tap, event);
    }
  }

  #callTap(tap: Tap, event: AiwgEvent): void {
    try {
      tap.listener(event);
    } catch (error) {
      if (!tap.faulty) this.#options.log.error({ err: error, event: event.id }, 'A tap of the router threw');
      tap.faulty = true;
    }
  }

  #route(topic: string): Route {
    const known = this.#routes.get(topic);
    if (known !== undefined) return known;
    const route = {
      queues: receiversOf(this.#subscribers.values(), topic),
      taps: receiversOf(this.#taps, topic),
    };
    if (this.#routes.size >= MAX_ROUTES) this.#routes.clear();
    this.#routes.set(topic, route);
    return route;
  }

  #tellOverflow(subscriber: string, dropped: number): void {
    this.#options.log.warn(
      { subscriber, dropped },
      'Too many events waited for a subscriber: the oldest went',
    );
    this.publish({ type: OVERFLOW_TOPIC, source: 'router', payload: { subscriber, dropped } });
  }
}

function compile(globs: readonly string[]): ((topic: string) => boolean)[] {
  for (const glob of globs) {
    if (isTopicGlob(glob)) continue;
    throw new AiwgdError(
      'INVALID_PARAMS',
      `Not a glob over topics: ${JSON.stringify(glob)}. It is a topic in which * and ** may stand, at most three times.`,
    );
  }
  return globs.map(topicMatcher);
}

function receiversOf<T>(entries: Iterable<Entry<T>>, topic: string): T[] {
  return Array.from(entries)
    .filter(({ matchers }) => matchers.some((matches) => matches(topic)))
    .map(({ receiver }) => receiver);
}
