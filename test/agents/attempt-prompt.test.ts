import { describe, expect, it } from 'vitest';
import { attemptPrompt } from '#aiwgd/agents/attempt-prompt.js';
import { storedFeedback } from '#aiwgd/agents/verification.js';
import type { Claim, ConversationPast } from '#aiwgd/tasks/task-store.js';

const KNOWS = { sessions: true, isSession: (id: string) => id.startsWith('s-') };
const FORGETS = { sessions: false, isSession: () => false };
const feedback = storedFeedback({
  round: 1,
  command: '["npm","test"]',
  ended: 'exit 1',
  output: 'one failed',
});

function ask(
  provider: typeof KNOWS | typeof FORGETS,
  more: { own?: string; past?: Partial<ConversationPast>; feedback?: string } = {},
) {
  const past = more.past && { root: 'task-0001', sessionId: null, history: [], ...more.past };
  const claim = {
    task: { sessionId: more.own ?? null } as Claim['task'],
    past: past ?? null,
    feedback: more.feedback ?? null,
  };
  return attemptPrompt(claim, provider, 'mend it');
}

describe('what an attempt tells its agent', () => {
  it('is the request, to the letter, where nothing came before', () => {
    for (const provider of [KNOWS, FORGETS])
      expect(ask(provider, { past: {} })).toEqual({ prompt: 'mend it', resume: null });
  });

  it('is only to go on where its own session knows the request', () => {
    const { prompt, resume } = ask(KNOWS, { own: 's-1' });
    expect(resume).toBe('s-1');
    expect(prompt).toMatch(/^You were interrupted.*beginning of this conversation still stands/);
    expect(prompt).not.toContain('mend it');
  });

  it('names the request where the session had others before', () => {
    const { prompt, resume } = ask(KNOWS, { own: 's-1', past: { sessionId: 's-1' } });
    expect(resume).toBe('s-1');
    expect(prompt).toMatch(/^You were interrupted.*\n\nmend it$/s);
  });

  it('is the request in the session of the conversation', () => {
    expect(ask(KNOWS, { past: { sessionId: 's-7' } })).toEqual({ prompt: 'mend it', resume: 's-7' });
  });

  it('begins anew where a session cannot be one of the agent', () => {
    expect(ask(KNOWS, { own: '--flag' })).toEqual({ prompt: 'mend it', resume: null });
    expect(ask(FORGETS, { own: 's-1' })).toEqual({ prompt: 'mend it', resume: null });
  });

  it('repeats what was said where the agent has no session to know it from', () => {
    const history = [
      { prompt: 'first', result: 'done first' },
      { prompt: 'second', result: 'done second' },
    ];
    const { prompt, resume } = ask(FORGETS, { past: { history } });
    expect(resume).toBeNull();
    expect(prompt).toMatch(/first.*done first.*second.*done second.*The request now:\nmend it$/s);
    expect(ask(KNOWS, { past: { history } }).prompt).toBe(prompt);
    expect(ask(KNOWS, { past: { history, sessionId: 's-1' } }).prompt).toBe('mend it');
  });

  it('hands back what the check printed, with the request where that is not known', () => {
    const inSession = ask(KNOWS, { own: 's-1', feedback });
    expect(inSession.resume).toBe('s-1');
    expect(inSession.prompt).toMatch(/^You said that you were done.*one failed/s);
    const anew = ask(FORGETS, { feedback });
    expect(anew.prompt).toMatch(
      /^mend it\n\nYou said that you were done.*\["npm","test"\]\nIts output ends so:\n\none failed/s,
    );
  });
});
