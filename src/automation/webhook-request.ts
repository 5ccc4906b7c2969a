import { createHmac } from 'node:crypto';
import type { LookupAddress } from 'node:dns';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Clock } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import { WebhookError } from './webhook-error.js';
import { addressesOf, parseTarget, type Resolve, shownUrl, systemResolve } from './webhook-target.js';

export interface WebhookRequest {
  url: string;
  /** JSON. */
  body: string;
  /** Key of the HMAC; null: unsigned. */
  secret: string | null;
  /** Id by which the receiver knows a repetition. */
  delivery: string;
  /** Whether addresses of this machine and of private networks may be reached. */
  allowPrivate: boolean;
  /** For all of it, from the name to the answer; 10 seconds where absent. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface WebhookDeps {
  clock: Clock;
  /** Of this program, for `User-Agent`. */
  version: string;
  /** The system's own where absent. */
  resolve?: Resolve;
}

const TIMEOUT_MS = 10_000;
/** What is read of an answer, so that the receiver can end it; nobody looks at it. */
const MAX_ANSWER_BYTES = 64 * 1024;
const LONGEST_RETRY_AFTER_MS = 60 * 60 * 1_000;
/** Other answers below 500 would be the same the next time. */
const RETRYABLE = new Set([408, 425, 429]);

/**
 * Sends one POST, without trying again. Resolves when the receiver has answered 2xx. Throws a `WebhookError`: retryable
 * for trouble of the network, time that ran out, 408, 425, 429 and 5xx; not for any other answer (redirects are not
 * followed), for an address that is refused, or when `signal` is aborted.
 */
export async function sendWebhook(request: WebhookRequest, deps: WebhookDeps): Promise<{ status: number }> {
  const url = parseTarget(request.url);
  const limit = new AbortController();
  const timeoutMs = request.timeoutMs ?? TIMEOUT_MS;
  const aborted = (): void =>
    limit.abort(new WebhookError(`The webhook ${shownUrl(url)} was given up`, { retryable: false }));
  const timer = deps.clock.setTimer(timeoutMs, () =>
    limit.abort(
      new WebhookError(`The webhook ${shownUrl(url)} was not answered within ${timeoutMs} ms`, {
        retryable: true,
      }),
    ),
  );
  if (request.signal?.aborted) aborted();
  request.signal?.addEventListener('abort', aborted, { once: true });
  try {
    const answer = await untilAborted(limit.signal, deliver(url, request, deps, limit.signal));
    const status = answer.statusCode ?? 0;
    // It is decided by now: an abort only makes this shorter.
    await drop(answer);
    if (status >= 200 && status < 300) return { status };
    throw refusedBy(url, status, retryAfterOf(answer, deps.clock.now()));
  } finally {
    timer.cancel();
    request.signal?.removeEventListener('abort', aborted);
    // Whatever is still under way, such as the search for a name, ends in nothing.
    limit.abort();
  }
}

async function deliver(
  url: URL,
  request: WebhookRequest,
  { version, resolve = systemResolve }: WebhookDeps,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const addresses = await addressesOf(url, { allowPrivate: request.allowPrivate, resolve });
  signal.throwIfAborted();
  const body = Buffer.from(request.body);
  const options: RequestOptions = {
    method: 'POST',
    agent: false,
    lookup: lookupOf(addresses),
    signal,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
      'User-Agent': `aiwgd/${version}`,
      'X-AIWG-Delivery': request.delivery,
      ...(request.secret === null ? {} : { 'X-Hub-Signature-256': signatureOf(body, request.secret) }),
    },
  };
  return post(url, options, body);
}

/** Answers only with what was checked: a name that means something else by now leads nowhere else. */
function lookupOf(addresses: LookupAddress[]): LookupFunction {
  return (_name, { all }, callback) => {
    const [first] = addresses;
    if (all === true || first === undefined) callback(null, addresses);
    else callback(null, first.address, first.family);
  };
}

function post(url: URL, options: RequestOptions, body: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const sent = send(url, options, resolve);
    sent.on('error', (cause) => {
      const message = `The webhook ${shownUrl(url)} was not delivered: ${reasonOf(cause)}`;
      reject(new WebhookError(message, { retryable: true, cause }));
    });
    sent.end(body);
  });
}

/** Reads an answer to its end, or as far as is polite; however it ends, its status is known. */
function drop(answer: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let size = 0;
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) answer.destroy();
    });
    answer.on('error', () => resolve());
    answer.once('close', () => resolve());
    if (answer.closed) resolve();
  });
}

function refusedBy(url: URL, code: number, retryAfterMs: number | null): WebhookError {
  const retryable = RETRYABLE.has(code) || code >= 500;
  const moved =
    code >= 300 && code < 400 ? ': redirects are not followed, set the URL to where it leads' : '';
  return new WebhookError(`The webhook ${shownUrl(url)} was answered with HTTP ${code}${moved}`, {
    retryable,
    retryAfterMs: retryable ? retryAfterMs : null,
  });
}

/** Seconds, or a date; no longer than an hour. */
function retryAfterOf({ headers }: IncomingMessage, now: number): number | null {
  const text = headers['retry-after']?.trim();
  if (text === undefined) return null;
  const ms = /^\d+$/u.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}

function signatureOf(body: Buffer, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

/** Several addresses that all failed come as one error without words. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return messageOf(error);
}

function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject);
  });
}
