import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';
import { type Dial, Link, type Notification } from './link.js';
import { redial } from './redial.js';

export interface EventSubscriptionOptions {
  dial: Dial;
  clock: Clock;
  topics: string[];
  /** Whether a lost connection is made again; otherwise it is a failure. */
  reconnect: boolean;
  onEvent: (event: AiwgEvent) => void;
  /** The subscription is in force: the first time, and after every reconnection. */
  onSubscribed: () => void;
  /** The end, unless it was closed here. */
  onFailure: (error: unknown) => void;
}

/**
 * Events over a connection of their own, so that whoever reads them slowly holds up nothing else. Subscribes by
 * itself, again after each reconnection; events from the time between are not made up for.
 */
export class EventSubscription {
  readonly #options: EventSubscriptionOptions;
  readonly #closed = new AbortController();
  #link: Link | undefined;

  constructor(options: EventSubscriptionOptions) {
    this.#options = options;
    this.#run().catch((error: unknown) => {
      if (!this.#closed.signal.aborted) options.onFailure(error);
      this.close();
    });
  }

  pause(): void {
    this.#link?.pause();
  }

  resume(): void {
    this.#link?.resume();
  }

  close(): void {
    this.#closed.abort();
    this.#link?.close();
  }

  async #run(): Promise<void> {
    const { dial, clock, reconnect } = this.#options;
    const { signal } = this.#closed;
    // A client that reconnects has had its daemon already: where that is away just now, it comes back.
    let link = reconnect ? await redial(dial, clock, signal) : new Link(await dial(signal));
    for (;;) {
      const reason = await this.#follow(link);
      if (signal.aborted) return;
      if (!reconnect || reason.code !== 'CONNECTION_LOST') throw reason;
      link = await redial(dial, clock, signal);
    }
  }

  /** Subscribes and passes events on until the connection ends; answers why it did. */
  async #follow(link: Link): Promise<AiwgdError> {
    if (this.#closed.signal.aborted) link.close();
    this.#link = link;
    const ended = new Promise<AiwgdError>((resolve) => {
      link.onLost = resolve;
    });
    let dropped: AiwgdError | undefined;
    link.onNotification = (notification: Notification) => {
      if (notification.method === 'event') {
        this.#options.onEvent(notification.params.event);
      } else if (notification.method === 'subscription.dropped') {
        dropped = new AiwgdError(
          'OVERLOADED',
          `The daemon ended the subscription: ${notification.params.reason}`,
        );
        link.close();
      }
    };
    try {
      await link.call('subscribe', { topics: this.#options.topics });
      this.#options.onSubscribed();
    } catch (error) {
      if (link.isOpen) {
        link.close();
        throw error;
      }
    }
    const reason = await ended;
    return dropped ?? reason;
  }
}
