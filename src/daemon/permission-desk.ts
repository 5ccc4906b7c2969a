import type { Answer } from '../agents/agent-provider.js';
import type { AttemptQuestion, QuestionPort } from '../agents/ports.js';
import type { AutomationHost } from './automation-host.js';

/** Takes agents' questions for permission to the gates, which are opened with the first one. */
export class PermissionDesk implements QuestionPort {
  readonly #host: () => AutomationHost;

  /** The host is asked for with the first question: agents and automation need each other. */
  constructor(host: () => AutomationHost) {
    this.#host = host;
  }

  async ask({ question, ...asker }: AttemptQuestion, onAnswer: (answer: Answer) => void): Promise<void> {
    const { id: questionId, tool, input, rule } = question;
    const questions = await this.#host().questions();
    questions.ask({ ...asker, questionId, tool, input, rule }, onAnswer);
  }

  allowed(taskId: string): Promise<readonly string[]> {
    return Promise.resolve(this.#host().openQuestions?.allowed(taskId) ?? []);
  }

  withdraw(attemptId: string, reason: string, questionId?: string): void {
    this.#host().openQuestions?.withdraw(attemptId, reason, questionId);
  }

  keepOnly(attempts: ReadonlySet<string>): void {
    this.#host().openQuestions?.keepOnly(attempts);
  }

  /** The queue was begun anew, and its tasks get the names of others: what was allowed for good was allowed to those. */
  forgetAllowed(): void {
    this.#host().openQuestions?.forgetAllowed();
  }
}
