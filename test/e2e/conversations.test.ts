import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

/** A stand-in for claude: keeps how it was called and what it was told, and never runs twice at a time in one session. */
const CLAUDE = `#!/bin/sh
session=$(printf '%s' "$*" | sed -n 's/.*--resume \\([^ ]*\\).*/\\1/p')
told=$(cat)
echo "$session|$told" >> "$AIWG_PROJECT/calls"
echo "$*" >> "$AIWG_PROJECT/arguments"
if [ -z "$session" ]; then session=$(cat /proc/sys/kernel/random/uuid); fi
mkdir "$AIWG_PROJECT/lock-$session" || echo "twice at a time" >> "$AIWG_PROJECT/calls"
echo "{\\"type\\":\\"system\\",\\"subtype\\":\\"init\\",\\"session_id\\":\\"$session\\"}"
case "$told" in *slow*) sleep 0.3;; esac
rmdir "$AIWG_PROJECT/lock-$session"
case "$told" in *forgotten*) result='"is_error":true,"subtype":"error_during_execution","errors":["No conversation found with session ID"]';;
*) result='"is_error":false,"subtype":"success","result":"answer"';; esac
echo "{\\"type\\":\\"result\\",$result,\\"session_id\\":\\"$session\\",\\"total_cost_usd\\":0.01}"
`;

function claudeProject(): Project {
  const project = new Project({ config: { agents: { claude: { program: './claude' } } } });
  writeFileSync(join(project.root, 'claude'), CLAUDE);
  chmodSync(join(project.root, 'claude'), 0o755);
  return project;
}

/** Session and text of each call of the agent. */
function calls(project: Project): { session: string; told: string }[] {
  const lines = readFileSync(join(project.root, 'calls'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [session = '', told = ''] = line.split('|');
    return { session, told };
  });
}

test('a task goes on in the session of another, in its folder', async () => {
  const project = claudeProject();
  await project.start();
  await project.ok(['task', 'submit', '--wait', 'first']);
  const first = await project.json<Task>(['task', 'get', 'task-0001']);
  await project.ok(['task', 'submit', '--wait', '--resume', 'task-0001', 'second']);
  await project.ok(['task', 'submit', '--wait', '--resume', 'task-0002', 'third']);
  expect(calls(project)).toEqual([
    { session: '', told: 'first' },
    { session: first.sessionId, told: 'second' },
    { session: first.sessionId, told: 'third' },
  ]);
  const third = await project.json<Task>(['task', 'get', 'task-0003']);
  expect(third).toMatchObject({
    state: 'completed',
    conversation: 'task:task-0001',
    sessionId: first.sessionId,
  });
});

test('messages of a conversation are answered one after another, in one session, beside other conversations', async () => {
  const project = claudeProject();
  await project.start();
  const client = await project.connect();
  const sent = await Promise.all(
    ['slow one', 'slow two', 'slow three'].map((message) => client.chat.send({ message, conversation: 'a' })),
  );
  const other = await client.chat.send({ message: 'other' });
  for (const { taskId } of [...sent, other]) await project.ok(['task', 'wait', taskId]);
  const all = calls(project);
  expect(all.map(({ told }) => told).toSorted()).toEqual(['other', 'slow one', 'slow three', 'slow two']);
  const ofA = all.filter(({ told }) => told !== 'other');
  expect(ofA.map(({ told }) => told)).toEqual(['slow one', 'slow two', 'slow three']);
  const [begun, ...later] = ofA.map(({ session }) => session);
  expect(begun).toBe('');
  expect(new Set(later).size).toBe(1);
  expect(sent.map(({ conversation }) => conversation)).toEqual(['a', 'a', 'a']);
  expect(other.conversation).not.toBe('a');
  const task = await client.task.get({ taskId: sent[0]!.taskId });
  expect(task).toMatchObject({ source: 'chat', conversation: 'chat:a' });
});

test('what follows a task is begun when that is cancelled before its turn', async () => {
  const project = claudeProject();
  await project.start();
  await project.ok(['task', 'submit', '--delay', '1h', 'much later']);
  await project.ok(['task', 'submit', '--resume', 'task-0001', 'then']);
  expect(await project.json<Task>(['task', 'get', 'task-0002'])).toMatchObject({
    state: 'queued',
    attempt: 0,
  });
  await project.ok(['task', 'cancel', 'task-0001']);
  await until('the follower is done', async () => {
    const { state } = await project.json<Task>(['task', 'get', 'task-0002']);
    return state === 'completed';
  });
});

test('what goes on with a task from outside is from outside too, whoever asks for it', async () => {
  const project = claudeProject();
  await project.start();
  const client = await project.connect();
  const message = { prompt: 'from a stranger', source: 'messaging' as const };
  const { taskId } = await client.task.submit(message);
  await project.ok(['task', 'wait', taskId]);
  await project.ok(['task', 'submit', '--wait', '--resume', taskId, 'from a person']);
  await project.ok(['task', 'submit', '--wait', '--cause', taskId, 'brought about by it']);
  await project.ok(['task', 'submit', '--wait', 'something else']);
  const all = readFileSync(join(project.root, 'arguments'), 'utf8').trimEnd().split('\n');
  expect(all.map((line) => line.includes('--setting-sources user --strict-mcp-config'))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test('a session that the agent has forgotten is begun anew, with what was said', async () => {
  const project = claudeProject();
  await project.start();
  await project.ok(['task', 'submit', '--wait', 'remember me']);
  writeFileSync(join(project.root, 'claude'), CLAUDE.replace('*forgotten*) result', '"mend it") result'));
  const ran = await project.run(['task', 'submit', '--wait', '--resume', 'task-0001', 'mend it']);
  expect(ran.stderr).toContain('attempt 2');
  const [, , anew] = calls(project);
  expect(anew?.session).toBe('');
  expect(readFileSync(join(project.root, 'calls'), 'utf8')).toMatch(/remember me[^]*answer[^]*mend it/);
});

test('an agent without sessions is told what was said before', async () => {
  const project = new Project({
    config: { default_agent: 'echo', agents: { echo: script('cat > "told-$AIWG_TASK_ID"; echo "heard"') } },
  });
  await project.start();
  const client = await project.connect();
  const first = await client.chat.send({ message: 'my name is Ada', conversation: 'x' });
  await project.ok(['task', 'wait', first.taskId]);
  const second = await client.chat.send({ message: 'who am I?', conversation: 'x' });
  await project.ok(['task', 'wait', second.taskId]);
  expect(readFileSync(join(project.root, `told-${first.taskId}`), 'utf8')).toBe('my name is Ada');
  expect(readFileSync(join(project.root, `told-${second.taskId}`), 'utf8')).toMatch(
    /my name is Ada[^]*heard[^]*The request now:\nwho am I\?$/,
  );
});

test('what cannot be gone on with is refused with the reason', async () => {
  const project = claudeProject();
  await project.start();
  const unknown = await project.run(['task', 'submit', '--resume', 'task-0042', 'go on']);
  expect(unknown).toMatchObject({ code: 4, stderr: expect.stringContaining('task-0042') });
  await project.ok(['task', 'submit', '--wait', 'first']);
  const agent = await project.run([
    'task',
    'submit',
    '--resume',
    'task-0001',
    '--agent',
    'reviewer',
    'go on',
  ]);
  expect(agent).toMatchObject({ code: 2, stderr: expect.stringContaining('no other agent') });
  for (const words of ['npm test | tail', '[1]', '["npm"', ' ']) {
    const ran = await project.run(['task', 'submit', '--verify', words, 'do it']);
    expect(ran.code, words).toBe(2);
  }
});

test('a command that is run in a worktree of a task speaks to the daemon of the project around it', async () => {
  const project = claudeProject();
  await project.start();
  const folder = join(project.root, '.aiwg', 'working', 'task-0001');
  mkdirSync(join(folder, '.aiwg'), { recursive: true });
  expect(await project.ok(['ping'], { cwd: folder })).toMatch(/pong|ms/);
});
