import { type Clock, sleep } from '../platform/clock.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';
import { LARGE_EVENT_BYTES } from './event-size.js';
import { Fifo } from './fifo.js';
import { OverflowNotice } from './overflow-notice.js';

export type EventHandler = (event: AiwgEvent) => void | Promise<void>;

/** Pauses before the second, third and fourth delivery of an event to a failing handler, each ± 20 %. */
const RETRY_PAUSES_MS = [100, 400, 1600] as const;
/** Deliveries of one event in all. */
export const DELIVERIES = RETRY_PAUSES_MS.length + 1;
const JITTER = 0.2;

/** Other work of the process gets its turn after so many deliveries in a row, or after so many milliseconds. */
const DELIVERIES_PER_TURN = 10_000;
const TURN_MS = 5;
/** The clock is asked once in so many deliveries: asking costs more than a delivery to a quick handler. */
const CLOCK_EVERY = 64;

/** Large events (over 4 KiB) that may wait for one subscriber, in bytes. */
const MAX_LARGE_WAITING_BYTES = 64 * 1024 * 1024;

/** An event on its way, with its size so that it is measured once for all subscribers. */
export interface Parcel {
  readonly event: AiwgEvent;
  readonly bytes: number;
}

/** The subscriber that an event is to be delivered to again does not exist (any more). */
export class SubscriberGoneError extends AiwgdError {
  constructor(subscriber: string) {
    super('CONFLICT', `There is no subscriber "${subscriber}" now, so nothing can be delivered to it.`);
  }
}

interface Redelivery {
  event: AiwgEvent;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** One subscriber as `status()` shows it. */
export interface SubscriberStatus {
  name: string;
  /** Events not yet begun. */
  waiting: number;
  /** ISO time at which the handler took up the event that it is still busy with (retries included), or null. */
  inFlightSince: string | null;
  delivered: number;
  /** Events that became dead letters. */
  failed: number;
  /** Events that went to an overflow. */
  dropped: number;
}

export interface SubscriberQueueOptions {
  name: string;
  handler: EventHandler;
  clock: Clock;
  /** In [0, 1), for the jitter. */
  random: () => number;
  maxWaiting: number;
  onDead: (event: AiwgEvent, error: string) => void;
  onOverflow: (dropped: number) => void;
}

/**
 * The events of one subscriber: delivered in order, one at a time, each until its handler has succeeded or has failed
 * four times. Bounded: beyond `maxWaiting` the oldest go, and a large event that finds no room is not taken.
 */
export class SubscriberQueue {
  readonly #options: SubscriberQueueOptions;
  readonly #waiting = new Fifo<Parcel>();
  readonly #redeliveries = new Fifo<Redelivery>();
  readonly #closing = new AbortController();
  readonly #overflow: OverflowNotice;
  #idleWaiters: (() => void)[] = [];
  #largeBytes = 0;
  #running = false;
  /** Deliveries in this turn, and its beginning. */
  #turn = 0;
  #turnBegan = 0;
  #busySince: number | undefined;
  #delivered = 0;
  #failed = 0;

  constructor(options: SubscriberQueueOptions) {
    this.#options = options;
    this.#overflow = new OverflowNotice(
      options.clock,
      () => this.#waiting.size < options.maxWaiting / 2,
      options.onOverflow,
    );
  }

  get name(): string {
    return this.#options.name;
  }

  /** Events not yet handled, the one in the handler's hands included. */
  get unfinished(): number {
    return this.#waiting.size + this.#redeliveries.size + (this.#busySince === undefined ? 0 : 1);
  }

  /** Whether one more event would push out the oldest. */
  get isFull(): boolean {
    return this.#waiting.size >= this.#options.maxWaiting;
  }

  push(parcel: Parcel): void {
    if (this.#closing.signal.aborted) return;
    const large = parcel.bytes > LARGE_EVENT_BYTES ? parcel.bytes : 0;
    if (large > 0 && this.#largeBytes + large > MAX_LARGE_WAITING_BYTES) {
      this.#overflow.add();
      return;
    }
    if (this.isFull) {
      this.#take();
      this.#overflow.add();
    }
    this.#largeBytes += large;
    this.#waiting.push(parcel);
    this.#wake();
  }

  /**
   * Delivers `event` once, before everything that waits; settles as the handler does. Rejects with
   * SubscriberGoneError when the subscriber goes away first.
   */
  redeliver(event: AiwgEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) {
        reject(new SubscriberGoneError(this.name));
        return;
      }
      this.#redeliveries.push({ event, resolve, reject });
      this.#wake();
    });
  }

  /** Resolves when nothing waits and the handler is done, or when the queue is closed. */
  whenIdle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  status(): SubscriberStatus {
    return {
      name: this.name,
      waiting: this.#waiting.size + this.#redeliveries.size,
      inFlightSince: this.#busySince === undefined ? null : new Date(this.#busySince).toISOString(),
      delivered: this.#delivered,
      failed: this.#failed,
      dropped: this.#overflow.total,
    };
  }

  /** Ends deliveries at once: what waits is forgotten, a handler that is at work is left to itself. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#overflow.close();
    this.#waiting.clear();
    this.#largeBytes = 0;
    for (let next = this.#redeliveries.shift(); next !== undefined; next = this.#redeliveries.shift()) {
      next.reject(new SubscriberGoneError(this.name));
    }
    this.#tellIdle();
  }

  #take(): Parcel | undefined {
    const parcel = this.#waiting.shift();
    if (parcel !== undefined && parcel.bytes > LARGE_EVENT_BYTES) this.#largeBytes -= parcel.bytes;
    return parcel;
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(this.#drain);
  }

  /** Delivers until nothing waits, a handler has to be awaited, or it is somebody else's turn. */
  readonly #drain = (): void => {
    while (!this.#closing.signal.aborted) {
      if (this.#turnIsOver()) {
        setImmediate(this.#nextTurn);
        return;
      }
      this.#turn += 1;
      const redelivery = this.#redeliveries.shift();
      if (redelivery !== undefined) {
        void this.#finish(this.#deliverAgain(redelivery));
        return;
      }
      const parcel = this.#take();
      if (parcel === undefined) break;
      const pending = this.#deliver(parcel.event);
      if (pending !== undefined) {
        void this.#finish(pending);
        return;
      }
    }
    this.#running = false;
    this.#turn = 0;
    this.#tellIdle();
  };

  readonly #nextTurn = (): void => {
    this.#turn = 0;
    this.#drain();
  };

  #turnIsOver(): boolean {
    if (this.#turn % CLOCK_EVERY !== 0) return false;
    const now = this.#options.clock.monotonic();
    if (this.#turn === 0) this.#turnBegan = now;
    return this.#turn >= DELIVERIES_PER_TURN || now - this.#turnBegan >= TURN_MS;
  }

  /** Undefined when the handler was done at once, which is the quick way. */
  #deliver(event: AiwgEvent): Promise<void> | undefined {
    try {
      const outcome = this.#options.handler(event);
      if (outcome instanceof Promise) return this.#settle(event, outcome);
      this.#delivered += 1;
      return undefined;
    } catch (error) {
      return this.#retry(event, error);
    }
  }

  async #settle(event: AiwgEvent, outcome: Promise<void>): Promise<void> {
    try {
      await outcome;
      this.#delivered += 1;
    } catch (error) {
      await this.#retry(event, error);
    }
  }

  async #retry(event: AiwgEvent, firstError: unknown): Promise<void> {
    const { clock, random, handler, onDead } = this.#options;
    let error = firstError;
    for (const pause of RETRY_PAUSES_MS) {
      await sleep(clock, pause * (1 - JITTER + 2 * JITTER * random()), this.#closing.signal);
      if (this.#closing.signal.aborted) return;
      try {
        await handler(event);
        this.#delivered += 1;
        return;
      } catch (thrown) {
        error = thrown;
      }
    }
    this.#failed += 1;
    onDead(event, messageOf(error));
  }

  async #deliverAgain(redelivery: Redelivery): Promise<void> {
    try {
      await this.#options.handler(redelivery.event);
      this.#delivered += 1;
      redelivery.resolve();
    } catch (error) {
      redelivery.reject(error);
    }
  }

  /** `pending` never rejects: every failure of a handler is dealt with inside. */
  async #finish(pending: Promise<void>): Promise<void> {
    this.#busySince = this.#options.clock.now();
    await pending;
    this.#busySince = undefined;
    this.#drain();
  }

  #tellIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
