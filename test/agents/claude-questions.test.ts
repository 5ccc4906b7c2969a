import { describe, expect, it } from 'vitest';
import type { Question } from '#aiwgd/agents/agent-provider.js';
import { asking, init, linesOf, parserOf, provider, result, TERMINATED } from './claude-lines.js';

describe('questions for permission', () => {
  it('are open until their tool has a result', () => {
    const parser = provider.createParser({ baseline: null });
    const seen: (readonly Question[])[] = [];
    for (const line of linesOf('approvals')) {
      parser.line(line);
      if (seen.at(-1) !== parser.questions) seen.push(parser.questions);
    }
    expect(seen.map((open) => open.map(({ tool, input, rule }) => ({ tool, input, rule })))).toEqual([
      [],
      [{ tool: 'Bash', input: { command: 'npm test', description: 'fake' }, rule: 'Bash(npm test *)' }],
      [],
      [
        {
          tool: 'Write',
          input: { file_path: '/tmp/capture/project/x.txt', content: 'hi' },
          rule: 'Edit(**)',
        },
      ],
      [],
    ]);
  });

  it('are over when the program takes them back, or has its result', () => {
    const open = [asking('1'), asking('2')];
    expect(parserOf(open).questions).toHaveLength(2);
    expect(parserOf([...open, { type: 'control_cancel_request', request_id: '1' }]).questions).toHaveLength(
      1,
    );
    expect(parserOf([...open, result(1)]).questions).toEqual([]);
  });

  it('are bounded, and the agent’s surprise is told', () => {
    const many = Array.from({ length: 70 }, (_, index) => asking(`${index}`));
    const parser = parserOf([init(), ...many, result(1)]);
    expect(parserOf(many).questions).toHaveLength(64);
    expect(parser.verdict(TERMINATED).surprises).toEqual([expect.stringContaining('more than can be kept')]);
    const huge = ['1', '2', '3', '4'].map((id) => asking(id, { input: { content: 'x'.repeat(7_000_000) } }));
    expect(parserOf(huge).questions).toHaveLength(2);
  });

  it.each([
    ['no suggestion', undefined, null],
    ['one rule', [{ toolName: 'Bash', ruleContent: 'npm test *' }], 'Bash(npm test *)'],
    ['a whole tool', [{ toolName: 'mcp__github__list' }], 'mcp__github__list'],
    [
      'several rules',
      [
        { toolName: 'Bash', ruleContent: 'a' },
        { toolName: 'Bash', ruleContent: 'b' },
      ],
      null,
    ],
    ['a rule that reads as two', [{ toolName: 'Bash', ruleContent: 'touch a), Bash(*' }], null],
    ['a rule with a line break', [{ toolName: 'Bash', ruleContent: 'a\nb' }], null],
    ['a tool that is none', [{ toolName: 'Bash,Edit' }], null],
  ])('with %s', (_, rules, rule) => {
    const permission_suggestions = rules && [
      { type: 'addDirectories', directories: ['/'], destination: 'session' },
      { type: 'addRules', rules, behavior: 'allow', destination: 'localSettings' },
    ];
    expect(parserOf([asking('1', { permission_suggestions })]).questions).toMatchObject([{ rule }]);
  });

  const question: Question = {
    id: 'q',
    tool: 'Bash',
    input: { command: 'npm test' },
    rule: 'Bash(npm test *)',
  };
  it.each([
    [
      'yes',
      { allow: true, always: false, message: '' },
      question.rule,
      { behavior: 'allow', updatedInput: { command: 'npm test' } },
    ],
    [
      'always',
      { allow: true, always: true, message: '' },
      question.rule,
      {
        behavior: 'allow',
        updatedInput: { command: 'npm test' },
        updatedPermissions: [
          {
            type: 'addRules',
            rules: [{ toolName: 'Bash', ruleContent: 'npm test *' }],
            behavior: 'allow',
            destination: 'session',
          },
        ],
      },
    ],
    [
      'always, where there is no rule for it',
      { allow: true, always: true, message: '' },
      null,
      { behavior: 'allow', updatedInput: { command: 'npm test' } },
    ],
    [
      'no',
      { allow: false, always: true, message: 'Ask\nBob' },
      question.rule,
      { behavior: 'deny', message: 'Ask\nBob' },
    ],
  ])('are answered with %s', (_, reply, rule, response) => {
    const line = provider.answerLine?.({ ...question, rule }, reply) ?? '';
    expect(line).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(line)).toEqual({
      type: 'control_response',
      response: { subtype: 'success', request_id: 'q', response },
    });
  });
});
