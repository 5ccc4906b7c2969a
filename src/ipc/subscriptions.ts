import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import { type AiwgEvent, TASK_TOPICS } from '../protocol/event.js';
import type { NotificationTypes, SubscribeParams } from '../protocol/method-types.js';
import { FINAL_STATES } from '../protocol/task.js';
import type { CallContext, Connection } from './connection.js';
import { type OutputFeed, OutputPump } from './output-pump.js';

/** Most subscriptions of one connection. */
export const MAX_SUBSCRIPTIONS = 64;
/** With more events than this waiting for one connection, the subscription that has the next is dropped (characters, about bytes). */
export const MAX_WAITING = 4 * 1024 * 1024;

const FINAL_TOPICS: ReadonlySet<string> = new Set(FINAL_STATES.map((state) => `task:${state}`));
/** After these the attempt writes no more, so that all of its output can be sent before them. */
const END_TOPICS: ReadonlySet<string> = new Set([...FINAL_TOPICS, 'task:retrying']);

/** Where events come from. */
export interface EventFeed {
  /** Calls `listener` with each event that matches any of the globs, in order, until closed. */
  subscribe(globs: string[], listener: (event: AiwgEvent) => void): { close(): void };
}

export interface SubscriptionsOptions {
  connection: Connection;
  events: EventFeed;
  output: OutputFeed;
  log: Log;
}

/** The subscriptions of one connection. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #open = new Map<string, Subscription>();
  /** Those that are being looked up count too, or many at once would pass the limit. */
  #pending = 0;
  #lastId = 0;
  /** Shared by all subscriptions of the connection. */
  readonly #waiting = { size: 0 };

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Carries out `subscribe`. Notifications follow after its answer. NOT_FOUND, OVERLOADED. */
  subscribe(
    params: SubscribeParams,
    context: CallContext,
  ): { subscription: string } | Promise<{ subscription: string }> {
    if (this.#open.size + this.#pending >= MAX_SUBSCRIPTIONS) {
      throw new AiwgdError('OVERLOADED', `A connection has at most ${MAX_SUBSCRIPTIONS} subscriptions.`);
    }
    const { taskId } = params;
    return taskId === undefined ? this.#add(params, context) : this.#addWithOutput(params, taskId, context);
  }

  /** Carries out `unsubscribe`; false when there is no such subscription (any more). */
  unsubscribe(id: string): { unsubscribed: boolean } {
    const subscription = this.#open.get(id);
    subscription?.close();
    return { unsubscribed: this.#open.delete(id) };
  }

  close(): void {
    for (const subscription of this.#open.values()) subscription.close();
    this.#open.clear();
  }

  async #addWithOutput(
    params: SubscribeParams,
    taskId: string,
    context: CallContext,
  ): Promise<{ subscription: string }> {
    this.#pending += 1;
    try {
      const newest = await this.#options.output.attempt(taskId);
      if (newest === undefined) throw new AiwgdError('NOT_FOUND', `There is no task "${taskId}".`);
      return this.#add(params, context, { taskId, attempt: Math.max(1, newest.attempt) });
    } finally {
      this.#pending -= 1;
    }
  }

  #add(
    { topics, fromOffset = 0 }: SubscribeParams,
    context: CallContext,
    task?: { taskId: string; attempt: number },
  ): { subscription: string } {
    this.#lastId += 1;
    const id = `sub-${this.#lastId}`;
    if (!this.#options.connection.isOpen) return { subscription: id };
    const subscription = new Subscription(id, topics, {
      ...this.#options,
      waiting: this.#waiting,
      onDrop: () => this.#open.delete(id),
    });
    if (task !== undefined) subscription.streamOutput({ ...task, fromOffset });
    this.#open.set(id, subscription);
    context.afterReply(() => subscription.start());
    return { subscription: id };
  }
}

interface HeldLine {
  line: string;
  final: boolean;
}

interface SubscriptionOptions extends SubscriptionsOptions {
  waiting: { size: number };
  onDrop: () => void;
}

class Subscription {
  readonly #id: string;
  readonly #options: SubscriptionOptions;
  readonly #linePrefix: string;
  readonly #sources: { close(): void }[];
  #taskId: string | undefined;
  #pump: OutputPump | undefined;
  #started = false;
  #closed = false;
  /** Events that wait for the answer to `subscribe`, for output that comes before them, or for a slow reader. */
  #held: HeldLine[] = [];

  constructor(id: string, topics: string[], options: SubscriptionOptions) {
    this.#id = id;
    this.#options = options;
    this.#linePrefix = `{"jsonrpc":"2.0","method":"event","params":{"subscription":"${id}","event":`;
    this.#sources = [options.events.subscribe(topics, (event) => this.#deliver(event))];
  }

  streamOutput(task: { taskId: string; attempt: number; fromOffset: number }): void {
    const { connection, events, output, log } = this.#options;
    this.#taskId = task.taskId;
    const pump = new OutputPump({
      ...task,
      subscription: this.#id,
      connection,
      output,
      log,
      held: {
        count: () => this.#held.length,
        release: (count, keepFinal) => this.#release(count, keepFinal),
      },
      onFailure: (reason) => this.#drop(reason),
    });
    this.#pump = pump;
    this.#sources.push(
      events.subscribe([...TASK_TOPICS], (event) => {
        if (event.payload.taskId === task.taskId) pump.wake();
      }),
    );
  }

  start(): void {
    if (this.#closed) return;
    this.#started = true;
    if (this.#pump === undefined) this.#release(this.#held.length, false);
    else this.#pump.start();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const source of this.#sources) source.close();
    this.#pump?.close();
    for (const { line } of this.#held) this.#options.waiting.size -= line.length;
    this.#held = [];
  }

  #deliver(event: AiwgEvent): void {
    if (this.#closed) return;
    const { connection, log } = this.#options;
    let text: string;
    try {
      text = eventText(event);
    } catch (error) {
      log.warn({ eventId: event.id, topic: event.type, reason: messageOf(error) }, 'An event is not JSON');
      return;
    }
    const line = `${this.#linePrefix}${text}}}\n`;
    const mayPass = this.#started && this.#held.length === 0 && !connection.isBehind;
    if (mayPass && !this.#isEndOfOutput(event)) connection.send(line);
    else this.#hold({ line, final: FINAL_TOPICS.has(event.type) });
  }

  #hold(held: HeldLine): void {
    const { connection, waiting } = this.#options;
    if (waiting.size + held.line.length > MAX_WAITING) {
      this.#drop(`more than ${MAX_WAITING / 1024 / 1024} MiB of events waited to be read`);
      return;
    }
    this.#held.push(held);
    waiting.size += held.line.length;
    if (this.#pump !== undefined) this.#pump.wake();
    else if (this.#started && this.#held.length === 1) {
      void connection.drained().then(() => this.#release(this.#held.length, false));
    }
  }

  #isEndOfOutput(event: AiwgEvent): boolean {
    return this.#pump !== undefined && END_TOPICS.has(event.type) && event.payload.taskId === this.#taskId;
  }

  #release(count: number, keepFinal: boolean): void {
    const firstFinal = keepFinal ? this.#held.findIndex(({ final }) => final) : -1;
    const released = this.#held.splice(0, firstFinal === -1 ? count : Math.min(count, firstFinal));
    for (const { line } of released) {
      this.#options.waiting.size -= line.length;
      this.#options.connection.send(line);
    }
  }

  #drop(reason: string): void {
    this.close();
    this.#options.onDrop();
    const params: NotificationTypes['subscription.dropped'] = { subscription: this.#id, reason };
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'subscription.dropped', params });
    this.#options.connection.send(`${text}\n`);
  }
}

/** One event goes to many subscribers and is written as JSON once. */
const texts = new WeakMap<AiwgEvent, string>();

function eventText(event: AiwgEvent): string {
  let text = texts.get(event);
  if (text === undefined) {
    text = JSON.stringify(event);
    texts.set(event, text);
  }
  return text;
}
