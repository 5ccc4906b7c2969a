import { AiwgdError } from '../../protocol/errors.js';
import { isTopic } from '../../protocol/topic.js';
import { callDaemon } from '../call-daemon.js';
import { causeOf } from '../cause.js';
import type { Context } from '../context.js';
import { readStdin } from '../stdin.js';

function parsePayload(text: string): Record<string, unknown> {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch (cause) {
    throw new AiwgdError('USAGE', `The payload is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw new AiwgdError('USAGE', 'The payload must be a JSON object, such as {"branch": "main"}.');
  }
  return payload as Record<string, unknown>;
}

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output } = context;
  const [topic = '', text] = args;
  if (!isTopic(topic)) {
    throw new AiwgdError(
      'USAGE',
      `"${topic}" is no topic: write segments of letters, digits, _, - or /, joined by . or :, such as build.failed.`,
    );
  }
  const payload = text === undefined ? {} : parsePayload(text === '-' ? readStdin() : text);
  const answer = await callDaemon(context, 'event.emit', {
    topic,
    payload,
    ...causeOf(options, process.env),
  });
  if (output.json) output.document(answer);
  else output.line(answer.eventId);
  return 0;
}
