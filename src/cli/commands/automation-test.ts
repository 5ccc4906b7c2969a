import { readFileSync } from 'node:fs';
import type { EventSketch } from '../../protocol/automation.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { AutomationTestParams } from '../../protocol/method-types.js';
import { sinceOption } from '../arguments.js';
import { callDaemon } from '../call-daemon.js';
import type { CliOptions } from '../cli-options.js';
import type { Context } from '../context.js';
import { readStdin, ruleOption } from '../stdin.js';
import { verdictLines } from '../views/automation-views.js';

/** Where the event comes from, for messages, and its text. */
function eventText(given: string): { place: string; text: string } {
  if (given === '-') return { place: 'stdin', text: readStdin() };
  if (given.trimStart().startsWith('{')) return { place: 'the event', text: given };
  try {
    return { place: given, text: readFileSync(given, 'utf8').replace(/^\ufeff/, '') };
  } catch (cause) {
    throw new AiwgdError('USAGE', `The event ${given} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function eventSketch(given: string): EventSketch {
  const { place, text } = eventText(given);
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (cause) {
    throw new AiwgdError('USAGE', `${place} is not JSON: ${messageOf(cause)}`, { cause });
  }
  if (typeof event !== 'object' || event === null || typeof (event as { type?: unknown }).type !== 'string') {
    throw new AiwgdError(
      'USAGE',
      `${place} is no event: write an object with a type, such as {"type": "file.modify", "payload": {"path": "src/a.ts"}}.`,
    );
  }
  return event as EventSketch;
}

function question(given: string | undefined, options: CliOptions, now: number): AutomationTestParams {
  const rule = ruleOption(options.rule);
  const since = sinceOption(options.since, now);
  if (options.history === true) {
    if (given !== undefined) throw new AiwgdError('USAGE', 'Give an event or --history, not both.');
    return { ...rule, since: new Date(since ?? 0).toISOString() };
  }
  if (since !== undefined) throw new AiwgdError('USAGE', '--since goes with --history.');
  if (given === undefined)
    throw new AiwgdError('USAGE', 'Which event? Name a file with it, write it as JSON, or use --history.');
  return { ...rule, event: eventSketch(given) };
}

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output, clock } = context;
  const answer = await callDaemon(context, 'automation.test', question(args[0], options, clock.now()));
  if (output.json) output.document(answer);
  else for (const line of verdictLines(answer, output.paint)) output.line(line);
  return 0;
}
