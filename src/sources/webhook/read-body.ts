import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../platform/clock.js';
import { Refusal, SenderGone } from './refusal.js';

/** Largest body of a request. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** What all requests together may hold: senders that nobody knows yet shall not fill the memory. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
const TOO_LARGE = `The body is larger than ${MAX_BODY_BYTES} bytes`;

/** Whether a request has a body, by what it says of itself. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Reads bodies: each up to a size and within a time, all together up to a size. */
export class BodyReader {
  readonly #clock: Clock;
  #held = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The whole body. Throws a `Refusal` when it is too large (413), there are too many at once (503) or `deadline`, in
   * time of the monotonic clock, passes before its end (408); what follows is not read then. Throws `SenderGone`.
   */
  async read(request: IncomingMessage, deadline: number): Promise<Buffer> {
    if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new Refusal(413, TOO_LARGE);
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      await this.#collect(request, deadline, (chunk) => {
        size += chunk.length;
        this.#held += chunk.length;
        if (size > MAX_BODY_BYTES) throw new Refusal(413, TOO_LARGE);
        if (this.#held > MAX_HELD_BYTES) throw Refusal.later(503, 'Too much is being sent at once', 1_000);
        chunks.push(chunk);
      });
      return Buffer.concat(chunks);
    } finally {
      this.#held -= size;
    }
  }

  #collect(request: IncomingMessage, deadline: number, take: (chunk: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error): void => {
        timer.cancel();
        request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
        if (error === undefined) {
          resolve();
          return;
        }
        request.pause();
        // A socket that breaks later on has nobody else to tell.
        request.on('error', () => undefined);
        reject(error);
      };
      const onData = (chunk: Buffer): void => {
        try {
          take(chunk);
        } catch (error) {
          finish(error as Error);
        }
      };
      const onEnd = (): void => finish();
      const onGone = (): void => finish(new SenderGone('The sender hung up in the middle of its request'));
      const timer = this.#clock.setTimer(deadline - this.#clock.monotonic(), () =>
        finish(new Refusal(408, 'The request took too long')),
      );
      request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
    });
  }
}
