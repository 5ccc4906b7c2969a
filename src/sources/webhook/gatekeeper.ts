import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../platform/clock.js';
import { type BodyReader, hasBody } from './read-body.js';
import { Refusal } from './refusal.js';
import { isSigned, looksSigned } from './signature.js';
import { TokenBucket } from './token-bucket.js';

/** A flood of builds, and not more: every event may start an agent. */
const SIGNED = { burst: 60, perMinute: 120 };
const UNSIGNED = { burst: 60, perMinute: 120 };
/** Bodies that are read and hashed for senders of whom only that can tell whether they know the secret. */
const CHECKED = { burst: 300, perMinute: 1_200 };
const HEALTH = { burst: 60, perMinute: 120 };

/**
 * Who gets in, and how often. Those without a right signature have a budget of their own, so that they cannot use up
 * what signed senders need.
 */
export class Gatekeeper {
  readonly #bodies: BodyReader;
  readonly #signed: TokenBucket;
  readonly #unsigned: TokenBucket;
  readonly #checked: TokenBucket;
  readonly #health: TokenBucket;

  constructor(clock: Clock, bodies: BodyReader) {
    this.#bodies = bodies;
    this.#signed = new TokenBucket(clock, SIGNED);
    this.#unsigned = new TokenBucket(clock, UNSIGNED);
    this.#checked = new TokenBucket(clock, CHECKED);
    this.#health = new TokenBucket(clock, HEALTH);
  }

  /** Throws a `Refusal` (429) when health is asked for too often. */
  admitHealth(): void {
    allow(this.#health);
  }

  /** Counts a request that was refused for what it asks. Throws a `Refusal` (429) instead when there are too many. */
  countStranger(): void {
    allow(this.#unsigned);
  }

  /**
   * Reads the body of a request that is signed with `secret`; `beforeBody` is called when it is about to be read.
   * Throws a `Refusal`: 401 for another or no signature, 429, and what reading throws.
   */
  async admit(
    request: IncomingMessage,
    { secret, deadline, beforeBody }: { secret: string; deadline: number; beforeBody: () => void },
  ): Promise<Buffer> {
    const header = request.headers['x-hub-signature-256'];
    const signature = typeof header === 'string' ? header : undefined;
    if (!looksSigned(signature)) throw this.#stranger();
    allow(this.#checked);
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding.toLowerCase() !== 'identity') throw new Refusal(415, 'Compressed bodies are not taken');
    if (hasBody(request)) beforeBody();
    const body = await this.#bodies.read(request, deadline);
    if (!isSigned(body, signature, secret)) throw this.#stranger();
    allow(this.#signed);
    return body;
  }

  #stranger(): Refusal {
    this.countStranger();
    return new Refusal(401, 'The request is not signed with the secret (X-Hub-Signature-256)');
  }
}

function allow(bucket: TokenBucket): void {
  const wait = bucket.take();
  if (wait > 0) throw Refusal.later(429, 'Too many requests', wait);
}
