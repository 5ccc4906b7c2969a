import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../platform/clock.js';

/** How long an answer to a sender that is still sending stays readable before its connection is cut. */
const LINGER_MS = 250;

export interface Answer {
  status: number;
  body: object;
  headers?: Readonly<Record<string, string>>;
}

/**
 * Answers in JSON. What has not been read of the request is never read: the connection is closed then, a moment later,
 * since data that nobody reads would make the system throw the answer away.
 */
export function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers = {} }: Answer,
  { clock, close }: { clock: Clock; close: boolean },
): void {
  const text = `${JSON.stringify(body)}\n`;
  const unread = !request.complete;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    ...(close || unread ? { Connection: 'close' } : {}),
  });
  if (!unread) {
    response.end(request.method === 'HEAD' ? undefined : text);
    return;
  }
  response.write(text);
  const timer = clock.setTimer(LINGER_MS, () => response.end());
  response.once('close', () => timer.cancel());
}
