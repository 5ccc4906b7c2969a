import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { AgentInput } from './agent-input.js';
import type { Answer, Question } from './agent-provider.js';
import type { AttemptQuestion, QuestionPort } from './ports.js';

export interface AttemptQuestionsOptions {
  asker: Omit<AttemptQuestion, 'question'>;
  /** Undefined where nobody can be asked: the agent is told no. */
  port: QuestionPort | undefined;
  /** Undefined where nobody reads answers any more. */
  input: AgentInput | undefined;
  answerLine: (question: Question, answer: Answer) => string;
  log: Log;
  /** There is something to tell the agent. */
  onAnswer: () => void;
}

/** At once; an agent that asks more is told no. */
const MOST_OPEN = 64;
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
  readonly #options: AttemptQuestionsOptions;
  readonly #asked = new Map<string, Asked>();
  #seen: readonly Question[] = [];
  #count = 0;
  #input: AgentInput | undefined;
  #closed = false;

  constructor(options: AttemptQuestionsOptions) {
    this.#options = options;
    this.#input = options.input;
  }

  /** Whether a person has to answer before the agent can go on. */
  get waiting(): boolean {
    return [...this.#asked.values()].some(({ answer }) => answer === undefined);
  }

  /** Takes the questions that are open by now, and hands over the answers that have come. */
  look(open: readonly Question[]): void {
    if (this.#closed) return;
    if (open !== this.#seen) this.#compare(open);
    for (const asked of this.#asked.values()) this.#deliver(asked);
  }

  /** The agent has ended: nobody waits for answers any more. */
  end(): void {
    this.leave();
    const { port, asker } = this.#options;
    port?.withdraw(asker.attemptId, 'The agent that asked has ended');
  }

  /** Leaves the questions to the next daemon. */
  leave(): void {
    this.#closed = true;
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
    const { port, asker } = this.#options;
    port?.withdraw(asker.attemptId, 'The agent asks for it no more', id);
  }

  #ask(question: Question): void {
    const asked: Asked = { question, answer: undefined, delivered: false };
    const full = this.#asked.size >= MOST_OPEN || this.#count >= MOST_ASKED;
    this.#asked.set(question.id, asked);
    const { port, asker, log } = this.#options;
    if (port === undefined || full) {
      asked.answer = no(full ? 'Too many questions: nobody was asked.' : 'Nobody can be asked for permission here.');
      return;
    }
    this.#count += 1;
    port
      .ask({ ...asker, question }, (answer) => this.#take(asked, answer))
      .catch((error: unknown) => {
        const { taskId } = asker;
        log.warn({ taskId, tool: question.tool, error: messageOf(error) }, 'A permission could not be asked for');
        this.#take(asked, no(`Nobody could be asked for permission: ${messageOf(error)}`));
      });
  }

  #take(asked: Asked, answer: Answer): void {
    if (this.#closed || asked.answer !== undefined) return;
    asked.answer = answer;
    this.#options.onAnswer();
  }

  #deliver(asked: Asked): void {
    const { question, answer, delivered } = asked;
    if (answer === undefined || delivered || this.#input === undefined) return;
    const { answerLine, asker, log } = this.#options;
    try {
      const line = answerLine(question, answer);
      // No room now: the next look tries again.
      asked.delivered = this.#input.say(line.endsWith('\n') ? line : `${line}\n`);
    } catch (error) {
      // EPIPE, for all that is known: the agent is gone or has closed its stdin.
      this.#input = undefined;
      log.warn({ taskId: asker.taskId, error: messageOf(error) }, 'An agent cannot be told the answer to its question');
    }
  }
}

/** The same id may stand for another question, where an agent uses it again. */
function isSame(one: Question, other: Question): boolean {
  return (
    one === other ||
    (one.tool === other.tool && one.rule === other.rule && JSON.stringify(one.input) === JSON.stringify(other.input))
  );
}

function no(message: string): Answer {
  return { allow: false, always: false, message };
}
