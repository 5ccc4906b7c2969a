import { messageOf } from '../protocol/errors.js';
import { AgentInput } from './agent-input.js';
import type { Answer, Question } from './agent-provider.js';
import type { AttemptFiles } from './attempt-files.js';
import type { AttemptHeader } from './attempt-header.js';
import type { AttemptLimits } from './attempt-limits.js';
import type { AttemptDeps, AttemptPlan } from './attempt-plan.js';
import type { AttemptQuestion } from './ports.js';

/** The attempt that asks. */
export interface AskingAttempt {
  plan: AttemptPlan;
  deps: AttemptDeps;
  header: AttemptHeader;
  files: AttemptFiles;
  limits: AttemptLimits;
  /** It was taken over from an earlier daemon. */
  adopted: boolean;
}

/** At once; an agent that asks more is told no. */
const MOST_OPEN = 32;
/** In all, for as long as one daemon follows the attempt: each is kept for people to see later. */
const MOST_ASKED = 1_000;

interface Asked {
  question: Question;
  answer: Answer | undefined;
  delivered: boolean;
}

/**
 * The questions of one attempt for permission, as its output shows them: takes them to people, and their answers back. An
 * answer is written to the agent's stdin once for each daemon that follows the attempt; whoever takes over finds the
 * question in the output, where the agent has not got the answer, and asks for it again.
 */
export class AttemptQuestions {
  readonly #attempt: AskingAttempt;
  readonly #answerLine: (question: Question, answer: Answer) => string;
  readonly #asker: Omit<AttemptQuestion, 'question'>;
  /** There is something to tell the agent. */
  readonly #onAnswer: () => void;
  readonly #asked = new Map<string, Asked>();
  #seen: readonly Question[] = [];
  #count = 0;
  /** Undefined where nobody reads answers any more. */
  #input: AgentInput | undefined;
  #waiting = false;
  #looked = false;
  #closed = false;

  private constructor(
    attempt: AskingAttempt,
    answerLine: (question: Question, answer: Answer) => string,
    onAnswer: () => void,
  ) {
    const { plan, header, files } = attempt;
    const { taskId, attemptId, ruleId, causedBy } = plan;
    const { agentName: agent, project, folder: cwd = project } = header;
    this.#attempt = attempt;
    this.#answerLine = answerLine;
    this.#asker = { taskId, attemptId, agent, ruleId, causedBy, cwd };
    this.#onAnswer = onAnswer;
    this.#input = files.input;
  }

  /** Undefined for an agent that cannot be told anything after its prompt. */
  static of(attempt: AskingAttempt, onAnswer: () => void): AttemptQuestions | undefined {
    const { answerLine } = attempt.plan;
    if (attempt.header.staysOpen !== true || answerLine === undefined) return undefined;
    return new AttemptQuestions(attempt, answerLine, onAnswer);
  }

  /** Whether a person has to answer before the agent can go on. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** After a look at the output: takes the questions that are open by now, and hands over the answers that have come. */
  look(): void {
    if (this.#closed) return;
    const open = this.#attempt.plan.parser.questions;
    const hadWaited = !this.#looked && this.#countEarlierWait(open);
    this.#looked = true;
    if (open !== this.#seen) this.#compare(open);
    for (const asked of this.#asked.values()) this.#deliver(asked);
    const waiting = [...this.#asked.values()].some(({ answer }) => answer === undefined);
    if (waiting === this.#waiting && !hadWaited) return;
    this.#waiting = waiting;
    this.#noteWaiting();
  }

  /** The agent has ended: nobody waits for answers any more. */
  end(): void {
    this.leave();
    this.#attempt.deps.questions?.withdraw(this.#asker.attemptId, 'The agent that asked has ended');
    AgentInput.remove(this.#attempt.plan.folder);
  }

  /** Leaves the questions to the next daemon. */
  leave(): void {
    this.#closed = true;
    this.#waiting = false;
  }

  /** Whether it had asked before this daemon was there, and gone on waiting: that time is not held against it. */
  #countEarlierWait(open: readonly Question[]): boolean {
    const { adopted, files, limits, deps } = this.#attempt;
    if (!adopted || open.length === 0) return false;
    // What an agent says last is its question. A record that is newer, and says nothing of waiting: it had its answer.
    const saidAt = files.saidAt();
    if (!files.waited().waiting && saidAt <= files.notedAt()) return false;
    limits.hadWaited(deps.clock.now() - saidAt);
    return true;
  }

  /** For a daemon that takes over. */
  #noteWaiting(): void {
    const { files, limits, deps } = this.#attempt;
    try {
      files.noteWaited({ ms: limits.waitedMs, waiting: this.#waiting });
    } catch (error) {
      const { taskId } = this.#asker;
      deps.log.warn(
        { taskId, error: messageOf(error) },
        'That an attempt waits for an answer cannot be noted',
      );
    }
  }

  #compare(open: readonly Question[]): void {
    this.#seen = open;
    const byId = new Map(open.map((question) => [question.id, question]));
    for (const [id, { question, answer }] of this.#asked) {
      const now = byId.get(id);
      if (now !== undefined && isSame(now, question)) continue;
      this.#asked.delete(id);
      if (answer === undefined) this.#withdraw(id);
    }
    for (const [id, question] of byId) if (!this.#asked.has(id)) this.#ask(question);
  }

  #withdraw(id: string): void {
    this.#attempt.deps.questions?.withdraw(this.#asker.attemptId, 'The agent asks for it no more', id);
  }

  #ask(question: Question): void {
    const asked: Asked = { question, answer: undefined, delivered: false };
    const full = this.#asked.size >= MOST_OPEN || this.#count >= MOST_ASKED;
    this.#asked.set(question.id, asked);
    const { questions: port, log } = this.#attempt.deps;
    if (port === undefined || full) {
      asked.answer = no(
        full ? 'Too many questions: nobody was asked.' : 'Nobody can be asked for permission here.',
      );
      return;
    }
    this.#count += 1;
    port
      .ask({ ...this.#asker, question }, (answer) => this.#take(asked, answer))
      .catch((error: unknown) => {
        const { taskId } = this.#asker;
        log.warn(
          { taskId, tool: question.tool, error: messageOf(error) },
          'A permission could not be asked for',
        );
        this.#take(asked, no(`Nobody could be asked for permission: ${messageOf(error)}`));
      });
  }

  #take(asked: Asked, answer: Answer): void {
    if (this.#closed || asked.answer !== undefined) return;
    asked.answer = answer;
    this.#onAnswer();
  }

  #deliver(asked: Asked): void {
    const { question, answer, delivered } = asked;
    if (answer === undefined || delivered || this.#input === undefined) return;
    try {
      const line = this.#answerLine(question, answer);
      // No room now: the next look tries again.
      asked.delivered = this.#input.say(line.endsWith('\n') ? line : `${line}\n`);
    } catch (error) {
      // EPIPE, for all that is known: the agent is gone or has closed its stdin.
      this.#input = undefined;
      const { taskId } = this.#asker;
      const { log } = this.#attempt.deps;
      log.warn({ taskId, error: messageOf(error) }, 'An agent cannot be told the answer to its question');
    }
  }
}

/** The same id may stand for another question, where an agent uses it again. */
function isSame(one: Question, other: Question): boolean {
  return (
    one === other ||
    (one.tool === other.tool &&
      one.rule === other.rule &&
      JSON.stringify(one.input) === JSON.stringify(other.input))
  );
}

function no(message: string): Answer {
  return { allow: false, always: false, message };
}
