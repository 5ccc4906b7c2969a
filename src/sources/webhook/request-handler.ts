import type { IncomingMessage, ServerResponse } from 'node:http';
import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { WebhookConfig } from '../../protocol/config/config-schema.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import type { Answer } from './answer.js';
import { Gatekeeper } from './gatekeeper.js';
import { Intake } from './intake.js';
import { BodyReader } from './read-body.js';
import { Refusal } from './refusal.js';
import { RejectionLog } from './rejection-log.js';
import { type Route, route } from './route.js';

/** From a request's headers to the end of its body. */
const REQUEST_MS = 10_000;
/** When a sender may come again whose event could not be written. */
const RETRY_MS = 30_000;

/** What the receiver goes by at a moment; a reload changes it. */
export interface Terms {
  config: WebhookConfig;
  secret: string;
  /** Whether only this machine can connect. */
  onLoopback: boolean;
}

export interface RequestHandlerOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  publish: (event: NewEvent) => AiwgEvent;
  health: () => { status: string };
  /** Told why no event can be taken, and undefined when one was taken again. */
  onFault: (error: Error | undefined) => void;
}

export interface RequestCounts {
  requests: number;
  accepted: number;
  duplicates: number;
  /** By HTTP status. */
  rejected: Record<string, number>;
}

/** Decides what one request is answered with. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;
  readonly #gatekeeper: Gatekeeper;
  readonly #intake: Intake;
  readonly #rejections: RejectionLog;
  #requests = 0;
  #accepted = 0;
  #duplicates = 0;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
    const { clock, log } = options;
    this.#gatekeeper = new Gatekeeper(clock, new BodyReader(clock));
    this.#intake = new Intake(options);
    this.#rejections = new RejectionLog(clock, log);
  }

  counts(): RequestCounts {
    return {
      requests: this.#requests,
      accepted: this.#accepted,
      duplicates: this.#duplicates,
      rejected: this.#rejections.counts(),
    };
  }

  /** Throws only a `SenderGone`: there is nobody left to answer. */
  async handle(request: IncomingMessage, response: ServerResponse, terms: Terms): Promise<Answer> {
    this.#requests += 1;
    let found: Route | undefined;
    try {
      found = this.#find(request, terms);
      if (found.kind === 'health') return this.#answerHealth();
      const body = await this.#gatekeeper.admit(request, {
        secret: terms.secret,
        deadline: this.#options.clock.monotonic() + REQUEST_MS,
        beforeBody: () => {
          if (request.headers.expect !== undefined) response.writeContinue();
        },
      });
      return this.#take(request, found, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#rejections.add(error.status, error.message, found?.path);
      return { status: error.status, body: { error: error.message }, headers: error.headers };
    }
  }

  #find(request: IncomingMessage, { config, onLoopback }: Terms): Route {
    try {
      return route(request, config, { onLoopback });
    } catch (error) {
      this.#gatekeeper.countStranger();
      throw error;
    }
  }

  #answerHealth(): Answer {
    this.#gatekeeper.admitHealth();
    const { status } = this.#options.health();
    return { status: status === 'healthy' ? 200 : 503, body: { status } };
  }

  #take(request: IncomingMessage, found: Route, body: Buffer): Answer {
    const { log, onFault } = this.#options;
    let answer: Answer;
    try {
      answer = this.#intake.take(request, found, body);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      log.error({ err: error, path: found.path }, 'A webhook request could not be taken in');
      onFault(error instanceof Error ? error : new Error(String(error)));
      throw Refusal.later(503, 'The event cannot be written now', RETRY_MS);
    }
    onFault(undefined);
    if (answer.status === 202) this.#accepted += 1;
    else this.#duplicates += 1;
    log.debug({ path: found.path, ...answer.body }, 'Webhook request taken in');
    return answer;
  }
}
