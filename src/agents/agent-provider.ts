import type { TaskProgress, TokenCounts, Usage } from '../protocol/task.js';
import type { SessionTotals } from '../tasks/task-store.js';

/** What an attempt is to be launched for. */
export interface LaunchInput {
  /** All that the agent is told: with what came before, where it has no session to know it from. */
  prompt: string;
  /** A sub-agent of the program; null for the program itself. */
  subAgent: string | null;
  /** The agent's own session to go on in, a text that `isSession` takes; null to begin. Null for agents without sessions. */
  resume: string | null;
  /** What the attempt may cost; null for no bound. */
  maxBudgetUsd: number | null;
  /** What the session had cost before, as the program counts. */
  baseline: SessionTotals | null;
  /** Set off from outside: nothing that the repository brings along may take effect by itself. */
  outside: boolean;
  /** Rules of permission that a person gave for this task, such as `Bash(npm test:*)`. */
  allowed: readonly string[];
}

/** How to launch an agent. Nothing in it passes through a shell. */
export interface Launch {
  /** Looked up on PATH without a slash, relative to the project with one. */
  program: string;
  args: string[];
  /** Variables that the program needs; `undefined` takes one away. */
  env: Record<string, string | undefined>;
  /** What the agent reads on stdin; null for an empty stdin. */
  stdin: string | null;
  /**
   * True where more may follow on stdin (answers to its questions): it is a FIFO that never ends, and the agent is ended
   * after its result.
   */
  staysOpen?: boolean;
}

/** A question of an agent for permission. */
export interface Question {
  /** The agent's own name of it. */
  id: string;
  tool: string;
  /** Exactly what the tool would get. */
  input: Record<string, unknown>;
  /** The rule that "always" would stand for, in the agent's own terms; null where it offers none. */
  rule: string | null;
}

export interface Answer {
  allow: boolean;
  /** Also for what the question's `rule` covers, until the attempt ends. */
  always: boolean;
  /** For a no: what the agent is told. */
  message: string;
}

/** Why an attempt failed, as far as it decides what happens next: the retry policy has a line for each. */
export type FailureClass =
  /** The program is not there or cannot be run. */
  | 'agent_missing'
  /** The program refuses what it was given. */
  | 'bad_arguments'
  /** The provider does not know the key or the login. */
  | 'auth'
  | 'rate_limit'
  | 'overloaded'
  | 'connection'
  /** The session to go on in is unknown to the agent. */
  | 'session_gone'
  /** A limit of the run itself: turns or budget. */
  | 'run_limit'
  /** Killed from outside, or by its own fault. */
  | 'signal'
  /** It ended without a verdict. */
  | 'no_result'
  /** It gave no sign of life for too long, and was ended for that. */
  | 'stalled'
  /** Nobody saw how it ended. */
  | 'vanished'
  /** Its own verdict. */
  | 'agent_error';

/** How an attempt went, judged by its agent's own rules. */
export interface Verdict {
  ok: boolean;
  /** The agent's final text, at most 1 MiB. */
  result: string | null;
  /** In words a person understands; null when ok. */
  error: string | null;
  sessionId: string | null;
  costUsd: number | null;
  usage: Usage | null;
  failureClass: FailureClass | null;
  /** When a rate limit is lifted, in milliseconds since 1970; null where it was not told. */
  retryAt: number | null;
  tokens: TokenCounts | null;
  /** What the program has counted for the session by now; null where it does not tell, or counts by the run. */
  sessionTotals: SessionTotals | null;
  /** What in the program's words is not as it was measured, so that figures or verdicts may be wrong: each in a few words. */
  surprises: string[];
}

/** How an agent's process ended, with what it left. Both code and signal are null where nobody saw its end. */
export interface AgentExit {
  exitCode: number | null;
  signal: string | null;
  /** Reads up to the last 1 MiB of stdout. */
  stdoutTail: () => string;
  /** Reads up to the last 4 KiB of stderr. */
  stderrTail: () => string;
}

/** Follows one attempt. Memory is bounded whatever the agent prints. */
export interface OutputParser {
  /** False for agents whose stdout is plain text: it is not read while they run. */
  readonly readsLines: boolean;
  /** The agent's own session, as soon as it is known. */
  readonly sessionId: string | null;
  /** True after a final result: the agent has only to exit. May become false again. */
  readonly hasResult: boolean;
  /** Another object whenever something has changed; null for agents that do not tell. */
  readonly progress: TaskProgress | null;
  /** Asked and, as far as the output shows, not answered yet. Another array whenever it changes. */
  readonly questions: readonly Question[];
  /** Takes one line of stdout, without its newline. The bytes are only valid during the call. */
  line(bytes: Buffer): void;
  verdict(exit: AgentExit): Verdict;
}

/** What a parser knows of before the attempt. */
export interface ParserContext {
  /** Of the session that is gone on in. */
  baseline: SessionTotals | null;
  /** That session: in another one the baseline means nothing. Null, or absent, where whatever it names is that. */
  resumed?: string | null;
  /** Wall time in milliseconds since 1970, for what is told as from now; without it such a time stays unknown. */
  now?: (() => number) | undefined;
}

/** How to find out what is installed; asked by `doctor`. */
export interface Probe {
  version: readonly string[];
  /** Prints a text in which each of `words` stands, where the program can do what we ask of it. */
  help: readonly string[];
  words: readonly string[];
}

/** What the supervisor has to know of one kind of agent program. */
export interface AgentProvider {
  /** Variables of its own family, as names or `NAME_*`, that its programs may see. */
  readonly envFamily: readonly string[];
  /** Whether it can go on in a session; what is one is judged before it becomes an argument. */
  readonly sessions: boolean;
  isSession(id: string): boolean;
  /** What it tells of its cost: dollars, tokens only, or nothing. */
  readonly counts: 'usd' | 'tokens' | 'nothing';
  /** False where a launch for what comes from outside would be refused. */
  readonly takesOutside: boolean;
  /** Null where any program may be behind it. */
  readonly probe: Probe | null;
  /** Throws an `AiwgdError` (INVALID_PARAMS) for a prompt that it cannot hand over. */
  prepare(input: LaunchInput): Launch;
  createParser(context: ParserContext): OutputParser;
  /** The answer to a question as a line for stdin. */
  answerLine?(question: Question, answer: Answer): string;
}

export const MAX_RESULT_BYTES = 1024 * 1024;

/** The last `limit` bytes of a text at most, cut at a whole character. */
export function endOfText(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= limit ? text : endOfBytes(bytes, limit);
}

/** The last `limit` bytes at most as text, cut at a whole character. */
export function endOfBytes(bytes: Buffer, limit: number): string {
  let start = Math.max(0, bytes.length - limit);
  if (start > 0) while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return bytes.toString('utf8', start);
}

/** `exit 3`, `signal SIGKILL`: how a process ended, in a word. */
export function describeExit(exit: Pick<AgentExit, 'exitCode' | 'signal'>): string {
  return exit.signal === null ? `exit ${exit.exitCode ?? 'unknown'}` : `signal ${exit.signal}`;
}

const STDERR_LINES = 10;

/** The last lines of an agent's stderr on a failure, for its `error`. */
export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-STDERR_LINES).join('\n').trim();
}
