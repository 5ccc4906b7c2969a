import { describe, expect, it } from 'vitest';
import { formatProblems } from '#aiwgd/protocol/config/problems.js';
import { invalidConfig, parseConfig } from '#aiwgd/protocol/config/read-config.js';

/** Put together here, so that no scanner takes this file for a leak. */
const TOKENS = [
  ['sk', 'ant', 'api03', 'AbCdEf0123456789AbCdEf'].join('-'),
  ['sk', 'AbCdEf0123456789AbCdEf'].join('-'),
  ['xoxb', '123456789012', '1234567890123', 'AbCdEf0123456789'].join('-'),
  ['xapp', '1', 'A0123456789', '0123456789', 'abcdef'].join('-'),
  ['ghp', 'AbCdEf0123456789AbCdEf0123456789AbCd'].join('_'),
  ['github', 'pat', '11ABCDEFG0abcdefghij'].join('_'),
  ['glpat', 'AbCdEf0123456789AbCd'].join('-'),
  ['MTA5ODc2NTQzMjEwOTg3NjU0', 'GaBcDe', 'AbCdEf0123456789AbCdEf0123456789AbCdEf'].join('.'),
  ['1234567890', 'AAAbCdEf0123456789AbCdEf0123456789A'].join(':'),
  ['AKIA', 'ABCDEFGH01234567'].join(''),
  ['https://hooks.slack.com/services', 'T00000000/B00000000/AbCdEf0123456789'].join('/'),
  ['https://somebody', 'pa55word@example.org/x'].join(':'),
  ['-----BEGIN RSA', 'PRIVATE KEY-----\nMIIE'].join(' '),
];
const RANDOM = 'f3a9c81e7b2d4560af19c3e8d7b64a05';

const PLACES: ((token: string) => string)[] = [
  (token) => JSON.stringify({ messaging: { slack: { token } } }),
  (token) => JSON.stringify({ webhook: { secret_env: token } }),
  (token) => JSON.stringify({ agents: { x: { provider: 'command', command: ['a', `--key=${token}`] } } }),
  (token) => JSON.stringify({ agents: { claude: { env: { SOMETHING: token } } } }),
  (token) => JSON.stringify({ default_agent: token, agents: { [token]: {} } }),
  (token) => JSON.stringify({ [token]: { a: { b: token } } }),
  (token) =>
    JSON.stringify({ schedule: { jobs: [{ id: token, cron: token, action: token, timezone: token }] } }),
  (token) => JSON.stringify({ rules: [{ id: 'r', trigger: { type: token }, action: { type: token } }] }),
  (token) => `{\n  /* ${token} */ "daemon": {}\n}`,
];

describe('secrets in the file', () => {
  it.each(TOKENS)('%s is refused everywhere and repeated nowhere', (token) => {
    for (const place of PLACES) {
      const parsed = parseConfig(place(token), 'daemon.json');
      if (parsed.ok) throw new Error(`taken: ${place(token)}`);
      const error = invalidConfig('daemon.json', parsed.problems);
      const told = `${formatProblems('daemon.json', parsed.problems)}${error.message}${JSON.stringify(error.data)}`;
      expect(told).toMatch(/seems to hold an? |seems to hold the /);
      expect(told).not.toContain(token.slice(-14));
      expect(error.code).toBe('INVALID_CONFIG');
    }
  });

  it('names the key that should hold the name of a variable', () => {
    const parsed = parseConfig(JSON.stringify({ messaging: { slack: { token: TOKENS[2] } } }), 'f');
    if (parsed.ok) throw new Error('taken');
    expect(parsed.problems).toEqual([
      expect.objectContaining({ path: 'messaging.slack.token', remedy: expect.stringContaining('`*_env`') }),
    ]);
    expect(parsed.problems[0]).not.toHaveProperty('value');
  });

  it('tells random values where names of secrets belong', () => {
    for (const value of [
      { webhook: { secret_env: RANDOM } },
      { agents: { claude: { env: { SOMETHING: RANDOM } } } },
      { agents: { claude: { env: { MY_API_KEY: 'correct horse battery' } } } },
      { messaging: { slack: { password: 'correct horse battery' } } },
    ]) {
      const parsed = parseConfig(JSON.stringify(value), 'f');
      if (parsed.ok) throw new Error(`taken: ${JSON.stringify(value)}`);
      expect(JSON.stringify(parsed.problems)).not.toContain(RANDOM.slice(0, 8));
      expect(JSON.stringify(parsed.problems)).not.toContain('horse');
    }
  });

  it('takes what only looks a little like one', () => {
    const fine = {
      webhook: { secret_env: 'AIWG_WEBHOOK_SECRET_2026_FOR_CI_OF_PROJECT_77_AND_99' },
      agents: {
        claude: {
          env: {
            MAX_TOKENS: '4096',
            CACHE: '/var/cache/claude-2026-11-22-build',
            LONG: 'a-plain-option-of-many-words',
          },
        },
        script: { provider: 'command', command: ['git', 'show', RANDOM, 'http://localhost:8080/a@b'] },
      },
      actions: { a: { prompt: 'Explain sk-learn, xoxo and ghp_', env: { DEPLOY_TOKEN: '${DEPLOY_TOKEN}' } } },
    };
    expect(parseConfig(JSON.stringify(fine), 'f')).toMatchObject({ ok: true });
  });
});
