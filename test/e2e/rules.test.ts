import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { AutomationStatus, Gate, TraceAnswer } from '#aiwgd/protocol/automation.js';
import type { DeadLetter } from '#aiwgd/protocol/event.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

function project(config: object): Project {
  const p = new Project({
    config: { default_agent: 'sh', agents: { sh: script('cat') }, schedule: { enabled: false }, ...config },
  });
  mkdirSync(join(p.root, 'src'));
  return p;
}

const tasks = (p: Project): Promise<Task[]> => p.json<Task[]>(['task', 'list', '--limit', '100']);

async function untilTasks(p: Project, count: number): Promise<Task[]> {
  let found: Task[] = [];
  await until(`${count} tasks have ended`, async () => {
    found = await tasks(p);
    return found.filter(({ completedAt }) => completedAt !== null).length >= count;
  });
  return found;
}

/** Waits until the watcher has nothing left to tell: a file made now is told after all that were made before. */
async function untilTold(p: Project, marker: string): Promise<void> {
  const client = await p.connect();
  writeFileSync(join(p.root, marker), '');
  await until(`the change of ${marker} is told`, async () => {
    const events = await client.event.history({ topic: 'file.*', limit: 1000 });
    return events.some(({ payload }) => payload['path'] === marker);
  });
}

const GUIDE_RULE = {
  id: 'test',
  trigger: { type: 'file_change', pattern: 'src/**/*.ts' },
  condition: { type: 'debounce', interval_ms: 600 },
  action: { type: 'submit_task', prompt: 'Run the tests of {{files}}' },
};
const ORIGINAL_RULE = {
  id: 'original',
  description: 'As the original program has them',
  enabled: true,
  trigger: { type: 'file.modify', source: null, pattern: null },
  conditions: [{ field: 'payload.path', operator: 'contains', value: 'src/' }],
  action: { type: 'agent', prompt: 'Review {{payload.path}}', agent: 'sh', priority: 5 },
  cooldownMs: 0,
  requiresApproval: false,
};

const NO_VIM = spawnSync('vim', ['--version']).status !== 0;

describe('a rule on file changes', () => {
  it.for([
    [
      'vim',
      (file: string) =>
        execFileSync('vim', ['-Nu', 'NONE', '-es', '-c', 'normal Goanother line', '-c', 'wq', file]),
    ],
    ['sed -i', (file: string) => execFileSync('sed', ['-i', 's/one/two/', file])],
    [
      'an editor that writes beside and renames over',
      (file: string) => {
        writeFileSync(`${file}.tmp~`, 'const three = 3;\n');
        renameSync(`${file}.tmp~`, file);
      },
    ],
    ['an append', (file: string) => appendFileSync(file, '// more\n')],
  ] as [string, (file: string) => void][])(
    'fires once on a save by %s, in both of its forms',
    async ([editor, save], { skip }) => {
      skip(editor === 'vim' && NO_VIM, 'vim is not installed');
      const p = project({
        watch: { paths: ['src/'], debounce_ms: 150 },
        rules: [GUIDE_RULE, ORIGINAL_RULE],
      });
      mkdirSync(join(p.root, 'src/deep'));
      const file = join(p.root, 'src/deep/a b.ts');
      writeFileSync(file, 'const one = 1;\n');
      await p.start();
      save(file);
      const found = await untilTasks(p, 2);
      const prompts = found.map(({ prompt, ruleId, source }) => ({ prompt, ruleId, source }));
      expect(prompts.toSorted((a, b) => String(a.ruleId).localeCompare(String(b.ruleId)))).toEqual([
        { prompt: 'Review "src/deep/a b.ts"', ruleId: 'original', source: 'rule' },
        { prompt: 'Run the tests of "src/deep/a b.ts"', ruleId: 'test', source: 'rule' },
      ]);
      const { rules } = await p.json<AutomationStatus>(['automation', 'status']);
      expect(rules.map(({ id, firedCount }) => [id, firedCount])).toEqual([
        ['test', 1],
        ['original', 1],
      ]);
    },
  );

  it('hands names with quotes, newlines and templates on as data', async () => {
    const p = project({
      watch: { paths: ['src/'], debounce_ms: 50 },
      rules: [
        {
          id: 'odd',
          trigger: { type: 'file_change', pattern: 'src/**', events: ['create'] },
          actions: [
            { type: 'submit_task', prompt: 'Look at {{payload.path}}' },
            { type: 'command', command: ['sh', '-c', 'printf %s "$AIWG_EVENT_PATH" > told'] },
          ],
        },
      ],
    });
    await p.start();
    const name = 'src/a "$(touch pwned)" `id`\n{{files}} ${HOME} \'';
    writeFileSync(join(p.root, name), '');
    const [command, agent] = await untilTasks(p, 2);
    expect(agent?.prompt).toBe(`Look at ${JSON.stringify(name)}`);
    expect(command?.state).toBe('completed');
    expect(readFileSync(join(p.root, 'told'), 'utf8')).toBe(name);
    expect(existsSync(join(p.root, 'pwned'))).toBe(false);
  });
});

describe('chains of rules', () => {
  it('an agent that edits the files its rule watches comes to rest, and the trace says why', async () => {
    const p = project({
      watch: { paths: ['src/'], debounce_ms: 20 },
      agents: { sh: script('echo again >> src/a.ts; sleep 0.3; echo again >> src/a.ts') },
      rules: [
        {
          id: 'self',
          trigger: { type: 'file_change', pattern: 'src/**' },
          action: { type: 'agent', prompt: 'edit' },
        },
      ],
    });
    writeFileSync(join(p.root, 'src/a.ts'), '');
    await p.start();
    appendFileSync(join(p.root, 'src/a.ts'), 'mine\n');
    await untilTasks(p, 1);
    // What a person changes while no task works fires it again, and the task that follows edits once more.
    let saves = 0;
    await until('a later change of a person fires it', async () => {
      saves += 1;
      writeFileSync(join(p.root, `src/mine-${saves}`), '');
      return (await tasks(p)).length > 1;
    });
    await until('the rule rests', async () =>
      (await tasks(p)).every(({ completedAt }) => completedAt !== null),
    );
    await untilTold(p, 'src/marker');
    expect((await tasks(p)).length).toBeLessThanOrEqual(saves + 2);
    const { entries } = await p.json<TraceAnswer>(['automation', 'trace', '--rule', 'self']);
    const self = entries.filter(({ outcome }) => outcome === 'self');
    expect(self.length).toBeGreaterThan(0);
    expect(self[0]?.why).toMatch(/task-000\d/);
    expect(await p.ok(['automation', 'trace'])).toContain('self');
  });

  it('two rules that feed each other come to rest', async () => {
    const p = project({
      watch: { paths: ['src/'], debounce_ms: 20 },
      agents: { a: script('echo a >> src/b.txt'), b: script('echo b >> src/a.txt') },
      default_agent: 'a',
      rules: [
        {
          id: 'ra',
          trigger: { type: 'file_change', pattern: 'src/a.txt' },
          action: { type: 'agent', prompt: 'x', agent: 'a' },
        },
        {
          id: 'rb',
          trigger: { type: 'file_change', pattern: 'src/b.txt' },
          action: { type: 'agent', prompt: 'x', agent: 'b' },
        },
      ],
    });
    for (const name of ['a', 'b']) writeFileSync(join(p.root, `src/${name}.txt`), '');
    await p.start();
    appendFileSync(join(p.root, 'src/a.txt'), 'mine\n');
    await untilTasks(p, 2);
    await untilTold(p, 'src/marker');
    const { rules } = await p.json<AutomationStatus>(['automation', 'status']);
    expect(rules.map(({ id, firedCount }) => [id, firedCount])).toEqual([
      ['ra', 1],
      ['rb', 1],
    ]);
    const { entries } = await p.json<TraceAnswer>(['automation', 'trace', '--rule', 'ra']);
    expect(entries.find(({ outcome }) => outcome === 'self')?.event.path).toBe('src/a.txt');
  });

  it('a rule on the ends of tasks is not fired by those of its own, and one without a guard pauses itself', async () => {
    const p = project({
      watch: { enabled: false },
      rules: [
        {
          id: 'after',
          trigger: { type: 'event', topic: 'task:completed' },
          action: { type: 'agent', prompt: 'check' },
        },
        {
          id: 'ping',
          trigger: { type: 'event', topic: 'ping' },
          action: { type: 'emit', topic: 'ping' },
          allow_self: true,
          max_per_hour: 7,
        },
      ],
    });
    await p.start();
    await p.ok(['task', 'submit', '--wait', 'first']);
    await untilTasks(p, 2);
    await p.ok(['events', 'emit', 'ping']);
    const client = await p.connect();
    await until('the rule has paused itself', async () =>
      (await client.event.history({ topic: 'rule.paused' })).some(
        ({ payload }) => payload['ruleId'] === 'ping',
      ),
    );
    const { rules } = await p.json<AutomationStatus>(['automation', 'status']);
    expect(rules).toMatchObject([
      { id: 'after', firedCount: 1, paused: false },
      { id: 'ping', firedCount: 7, paused: true },
    ]);
    await p.ok(['restart']);
    expect((await p.json<AutomationStatus>(['automation', 'status'])).rules[1]).toMatchObject({
      paused: true,
    });
    await p.ok(['automation', 'enable', '--rule', 'ping']);
    expect((await p.json<AutomationStatus>(['automation', 'status'])).rules[1]).toMatchObject({
      paused: false,
    });
    expect(await tasks(p)).toHaveLength(2);
  });
});

describe('dead letters of rules', () => {
  it('are tried four times, kept over a restart, and delivered by hand', async () => {
    let healthy = false;
    const got: { status: number; body: string; signature: string | undefined }[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        const status = healthy ? 204 : 500;
        got.push({ status, body, signature: request.headers['x-hub-signature-256'] as string | undefined });
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const p = project({
      watch: { enabled: false },
      rules: [
        {
          id: 'tell',
          trigger: { type: 'event', topic: 'build.failed' },
          actions: [
            {
              type: 'webhook',
              url: `http://127.0.0.1:${port}/hook`,
              secret_env: 'HOOK_SECRET',
              allow_private: true,
            },
            { type: 'emit', topic: 'told' },
          ],
        },
      ],
    });
    p.env['HOOK_SECRET'] = 'the-secret-of-the-hook';
    await p.start();
    await p.ok(['events', 'emit', 'build.failed', '{"branch": "main"}']);
    let letters: DeadLetter[] = [];
    await until(
      'there is a dead letter',
      async () => {
        letters = await p.json<DeadLetter[]>(['events', 'dead', 'list']);
        return letters.length > 0;
      },
      30_000,
    );
    expect(letters).toMatchObject([
      { subscriber: 'rule:tell', attempts: 4, event: { type: 'build.failed', payload: { branch: 'main' } } },
    ]);
    expect(got).toHaveLength(4);
    expect(got.every(({ signature }) => signature?.startsWith('sha256='))).toBe(true);
    await p.ok(['restart']);
    const [letter] = await p.json<DeadLetter[]>(['events', 'dead', 'list']);
    const id = String(letter?.id);
    expect((await p.run(['events', 'dead', 'retry', id])).code).toBe(1);
    expect((await p.json<DeadLetter[]>(['events', 'dead', 'list']))[0]).toMatchObject({ id, attempts: 5 });
    healthy = true;
    await p.ok(['events', 'dead', 'retry', id]);
    expect(await p.json<DeadLetter[]>(['events', 'dead', 'list'])).toEqual([]);
    const client = await p.connect();
    await until(
      'the run has gone on',
      async () => (await client.event.history({ topic: 'told' })).length === 1,
    );
    expect(got).toHaveLength(6);
    const secret = readFileSync(p.paths.log, 'utf8').includes('the-secret-of-the-hook');
    expect(secret).toBe(false);
  });
});

describe('gates', () => {
  it('outlive the daemon, and let exactly that happen which they showed', async () => {
    const p = project({
      watch: { enabled: false },
      rules: [
        {
          id: 'release',
          trigger: { type: 'event', topic: 'release' },
          requires_approval: true,
          action: { type: 'command', command: ['sh', '-c', 'echo "$AIWG_EVENT_VERSION" >> released'] },
        },
      ],
    });
    await p.start();
    await p.ok(['events', 'emit', 'release', '{"version": "1.0"}']);
    await p.ok(['events', 'emit', 'release', '{"version": "2.0"}']);
    let gates: Gate[] = [];
    await until('the first asks', async () => (gates = await p.json<Gate[]>(['gate', 'list'])).length === 1);
    await p.kill();
    await p.start();
    expect(await p.json<Gate[]>(['gate', 'list'])).toEqual(gates);
    const id = String(gates[0]?.id);
    await p.ok(['gate', 'reject', id, 'not', 'now']);
    expect((await p.run(['gate', 'approve', id])).stderr).toContain('rejected');
    await until('the second asks', async () => (gates = await p.json<Gate[]>(['gate', 'list'])).length === 1);
    await p.ok(['gate', 'approve', String(gates[0]?.id)]);
    await until('it was done', () => existsSync(join(p.root, 'released')));
    await untilTasks(p, 1);
    expect(readFileSync(join(p.root, 'released'), 'utf8')).toBe('2.0\n');
    const [approved, rejected] = await p.json<Gate[]>(['gate', 'list', '--all']);
    expect([approved?.state, rejected?.state, rejected?.reason]).toEqual(['approved', 'rejected', 'not now']);
  });
});
