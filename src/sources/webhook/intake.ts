import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import type { Answer } from './answer.js';
import { Deliveries } from './deliveries.js';
import { readContent, readQuery } from './read-content.js';
import { Refusal } from './refusal.js';
import type { Route } from './route.js';

/** Headers that a rule may see. Never those that hold what a sender proves itself with. */
const SHOWN_HEADERS = [
  'content-type',
  'user-agent',
  'x-event-key',
  'x-gitea-event',
  'x-github-event',
  'x-github-hook-id',
  'x-gitlab-event',
];
const DELIVERY_HEADERS = ['x-github-delivery', 'x-aiwg-delivery'];
const MAX_HEADER_CHARACTERS = 512;
const DELIVERY_ID = /^[\x21-\x7e]{1,200}$/u;

export interface IntakeOptions {
  db: StateDatabase;
  clock: Clock;
  publish: (event: NewEvent) => AiwgEvent;
}

/** Turns signed requests into events, each delivery once. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #deliveries: Deliveries;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#deliveries = new Deliveries(options.db, options.clock);
  }

  /**
   * Takes a request whose signature is right, and answers when its event is on disk. Throws a `Refusal` for a body or
   * delivery id that cannot be read, and what the database throws: then nothing was taken.
   */
  take({ headers }: IncomingMessage, { method, path, query }: Route, body: Buffer): Answer {
    const delivery = deliveryOf(headers);
    const event: NewEvent = {
      type: `webhook.${path.slice(1).replaceAll('/', '.')}`,
      source: 'webhook',
      payload: {
        method,
        path,
        query: readQuery(query),
        headers: shownHeaders(headers),
        body: readContent(body, headers),
        delivery,
      },
    };
    const { db, publish } = this.#options;
    const published = db.transaction(() =>
      delivery === null || this.#deliveries.note(path, delivery) ? publish(event) : undefined,
    );
    return published === undefined
      ? { status: 200, body: { duplicate: true } }
      : { status: 202, body: { event: published.id } };
  }
}

function deliveryOf(headers: IncomingHttpHeaders): string | null {
  const id = DELIVERY_HEADERS.map((name) => headers[name]).find((value) => value !== undefined);
  if (id === undefined) return null;
  if (typeof id === 'string' && DELIVERY_ID.test(id)) return id;
  throw new Refusal(400, 'The delivery id must be 1 to 200 printable characters without blanks');
}

function shownHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of SHOWN_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') shown[name] = value.slice(0, MAX_HEADER_CHARACTERS);
  }
  return shown;
}
