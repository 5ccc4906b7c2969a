import { AiwgdError } from '../../protocol/errors.js';
import type { CommandAgentConfig } from '../agent-config.js';
import {
  type AgentExit,
  type AgentProvider,
  describeExit,
  endOfText,
  type FailureClass,
  lastLines,
  MAX_RESULT_BYTES,
  type OutputParser,
  type Verdict,
} from '../agent-provider.js';
import { parseObject } from './json-line.js';

/** Linux takes at most 128 KiB in one argument; what is left is for its closing byte and for safety. */
export const MAX_ARGUMENT_BYTES = 100_000;

/** Any program: its exit code is the verdict, its stdout the result. It has no sessions: every attempt begins anew. */
export function commandProvider(config: CommandAgentConfig): AgentProvider {
  const [program = '', ...args] = config.command;
  const asArgument = config.prompt === 'argument';
  return {
    envFamily: [],
    sessions: false,
    isSession: () => false,
    counts: 'nothing',
    takesOutside: true,
    probe: null,
    prepare: ({ prompt }) => {
      if (asArgument && Buffer.byteLength(prompt) > MAX_ARGUMENT_BYTES) {
        throw new AiwgdError(
          'INVALID_PARAMS',
          `The prompt of ${Buffer.byteLength(prompt)} bytes is too long for an argument (at most ${MAX_ARGUMENT_BYTES}): set "prompt": "stdin" for the agent ${program}`,
        );
      }
      return {
        program,
        args: asArgument ? [...args, '--', prompt] : args,
        env: {},
        stdin: asArgument ? null : prompt,
      };
    },
    createParser: () => (config.output === 'jsonl' ? new JsonLinesParser() : new TextParser()),
  };
}

class TextParser implements OutputParser {
  readonly readsLines: boolean = false;
  readonly sessionId: string | null = null;
  readonly hasResult = false;
  readonly progress = null;
  readonly questions = [];

  line(_bytes: Buffer): void {
    // Plain text is measured, not read: its end is read once, for the result.
  }

  verdict(exit: AgentExit): Verdict {
    const ok = exit.exitCode === 0;
    const result = this.result(exit);
    return {
      ok,
      result: result === '' ? null : result,
      error: ok ? null : failureText(exit),
      sessionId: null,
      costUsd: null,
      usage: null,
      failureClass: ok ? null : failureClassOf(exit),
      retryAt: null,
      tokens: null,
      sessionTotals: null,
      surprises: [],
    };
  }

  protected result(exit: AgentExit): string {
    return exit.stdoutTail().replace(/\r?\n$/u, '');
  }
}

/** JSON lines: the last object with a string `result` holds the result; without one it is stdout itself. */
class JsonLinesParser extends TextParser {
  override readonly readsLines = true;
  #result: string | undefined;

  override line(bytes: Buffer): void {
    if (!bytes.includes('"result"')) return;
    const result = parseObject(bytes)?.['result'];
    if (typeof result === 'string') this.#result = endOfText(result, MAX_RESULT_BYTES);
  }

  protected override result(exit: AgentExit): string {
    return this.#result ?? super.result(exit);
  }
}

function failureClassOf({ exitCode, signal }: AgentExit): FailureClass {
  if (signal !== null) return 'signal';
  return exitCode === null ? 'no_result' : 'agent_error';
}

function failureText(exit: AgentExit): string {
  const stderr = lastLines(exit.stderrTail());
  return stderr === '' ? describeExit(exit) : `${describeExit(exit)}: ${stderr}`;
}
