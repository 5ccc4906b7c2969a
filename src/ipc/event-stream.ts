import type { AiwgEvent } from '../protocol/event.js';
import { EventSubscription, type EventSubscriptionOptions } from './event-subscription.js';

/** With so many events waiting to be taken, no more are read. */
const HIGH_WATER = 256;

type Result = IteratorResult<AiwgEvent, undefined>;
const DONE: Result = { done: true, value: undefined };

export interface EventStreamOptions
  extends Omit<EventSubscriptionOptions, 'onEvent' | 'onSubscribed' | 'onFailure'> {
  signal: AbortSignal | undefined;
  /** Called once at the end. */
  onClose: (stream: EventStream) => void;
}

/**
 * Events, as an iterator for `for await`. It subscribes when it is made, not when it is first read; `ready` tells when
 * events are being collected. Leaving the loop, `return` and the signal end the subscription; an aborted signal makes
 * the loop throw its reason. A reader who falls far behind gets OVERLOADED, because events were lost.
 */
export class EventStream implements AsyncIterableIterator<AiwgEvent, undefined>, AsyncDisposable {
  /** Resolves when the subscription is in force: no event that happens from then on is missed. */
  readonly ready: Promise<void>;
  readonly #subscription: EventSubscription;
  readonly #options: EventStreamOptions;
  #events: AiwgEvent[] = [];
  #taken = 0;
  #readers: { resolve: (result: Result) => void; reject: (error: unknown) => void }[] = [];
  #failure: { error: unknown } | undefined;
  #closed = false;
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } = {
    resolve: () => {},
    reject: () => {},
  };

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Whoever does not wait for `ready` meets the error in the loop.
    this.ready.catch(() => {});
    this.#subscription = new EventSubscription({
      ...options,
      onEvent: (event) => this.#put(event),
      onSubscribed: () => this.#settleReady.resolve(),
      onFailure: (error) => this.#fail(error),
    });
    if (options.signal?.aborted) this.#abort();
    else options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Whether it still collects events. */
  get isOpen(): boolean {
    return !this.#closed;
  }

  async next(): Promise<Result> {
    const event = this.#events[this.#taken];
    if (event !== undefined) {
      this.#taken += 1;
      if (this.#taken === this.#events.length) {
        this.#events = [];
        this.#taken = 0;
        this.#subscription.resume();
      }
      return { done: false, value: event };
    }
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (this.#closed) return DONE;
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  async return(): Promise<Result> {
    this.#events = [];
    this.#taken = 0;
    this.#failure = undefined;
    this.#close();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  readonly #abort = (): void => this.#fail(this.#options.signal?.reason);

  #put(event: AiwgEvent): void {
    if (this.#closed) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
      return;
    }
    this.#events.push(event);
    if (this.#events.length - this.#taken >= HIGH_WATER) this.#subscription.pause();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#failure = { error };
    else reader.reject(error);
    this.#settleReady.reject(error);
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#settleReady.reject(new Error('The event stream was closed before it was ready.'));
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#subscription.close();
    for (const reader of this.#readers) reader.resolve(DONE);
    this.#readers = [];
    this.#options.onClose(this);
  }
}
