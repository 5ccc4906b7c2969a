// A test program, not a daemon: it takes the lock, answers a few requests and reports as the real one does, so that the
// plumbing of start, stop and status can be tested by itself. STAND_IN says how it misbehaves.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const project = process.argv[process.argv.indexOf('--project') + 1];
const mode = process.env.STAND_IN ?? 'good';
const folder = join(project, '.aiwg', 'daemon');
const lock = join(folder, '.lock');
const socketPath = join(folder, 'daemon.sock');
const report = (value) => writeSync(3, `${JSON.stringify(value)}\n`);

function identity() {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return {
    pid: process.pid,
    startTime,
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  };
}

// The first task completes, the second fails.
const task = (id) => ({
  id,
  prompt: 'do\u001b[2J it',
  agent: null,
  priority: 0,
  state: id === 'task-0001' ? 'completed' : 'failed',
  createdAt: new Date().toISOString(),
  startedAt: new Date().toISOString(),
  completedAt: new Date().toISOString(),
  pid: null,
  result: 'two',
  error: id === 'task-0001' ? null : 'exit code 9',
  outputBytes: 8,
  metadata: {},
  attempt: 1,
  maxAttempts: 3,
  timeoutMs: null,
  runAt: null,
  waitReason: null,
  key: null,
  cwd: null,
  exitCode: 0,
  signal: null,
  sessionId: null,
  outside: false,
  conversation: null,
  progress: null,
  costUsd: null,
  usage: null,
  source: 'cli',
  ruleId: null,
  causedBy: null,
});

if (mode === 'die') {
  process.stderr.write('the stand-in breaks here\n');
  process.exit(7);
}
if (mode === 'refuse') {
  report({ error: { code: 'INVALID_CONFIG', message: 'daemon.json has 1 error', data: { problems: [1] } } });
  process.exit(1);
}
if (mode === 'endless') {
  for (let i = 0; i < 40; i += 1) writeSync(3, 'x'.repeat(4096));
  process.exit(1);
}
if (mode === 'mute') setInterval(() => {}, 1_000);
else {
  mkdirSync(folder, { recursive: true });
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(identity()));
  try {
    // A link appears with its whole content, so a loser never reads half a lock.
    linkSync(draft, lock);
  } catch {
    const { pid } = JSON.parse(readFileSync(lock, 'utf8'));
    report({
      error: { code: 'ALREADY_RUNNING', message: `Daemon is already running (PID: ${pid})`, data: { pid } },
    });
    process.exit(1);
  } finally {
    rmSync(draft, { force: true });
  }
  let signals = 0;
  const leave = () => {
    rmSync(lock, { force: true });
    rmSync(socketPath, { force: true });
    process.exit(0);
  };
  process.on('SIGTERM', () => {
    signals += 1;
    writeFileSync(join(folder, 'signals'), String(signals));
    if (mode === 'stubborn' && signals < 2) return;
    if (mode === 'deaf') return;
    leave();
  });
  const none = { queued: 0, running: 0, completed: 0, failed: 0, cancelled: 0, timeout: 0, total: 0 };
  const answers = {
    ping: () => ({ pong: true, pid: process.pid, version: '0.0.0' }),
    'daemon.status': () => ({
      pid: process.pid,
      version: '0.0.0',
      project,
      started_at: new Date().toISOString(),
      uptime_seconds: 1,
      restart_count: 0,
      health: { status: 'healthy', last_check: new Date().toISOString(), issues: [] },
      task_stats: none,
      subsystems: {
        ipc: { socket: socketPath, clients: 1, subscriptions: 0 },
        supervisor: { running: 0, queued: 0, maxConcurrency: 3, tasks: { running: [], queued: [] } },
        automation: { enabled: true, ruleCount: 0, rules: [], recentExecutions: [], gatesPending: 0 },
        file_watcher: { enabled: true, paths: ['src/'] },
        scheduler: { enabled: true, jobs: 1 },
        messaging: { enabled: false, adapters: [] },
      },
    }),
    'task.submit': () => ({ taskId: 'task-0001', state: 'queued', deduped: false }),
    'task.stats': () => none,
    subscribe: () => ({ subscription: 's1' }),
    'task.get': ({ taskId }) => ({ ...task(taskId), output: null }),
    'task.output': ({ stream, offset = 0 }) => {
      const data = { stdout: 'one\ntwo\n', stderr: 'a warning\n' }[stream ?? 'stdout'].slice(offset);
      return { data, nextOffset: offset + data.length, eof: true };
    },
    'task.page': () => ({ tasks: [task('task-0001'), task('task-0002')], nextCursor: null }),
    'event.history': () => [
      {
        id: 'e1',
        type: 'build.failed',
        source: 'rpc',
        timestamp: new Date().toISOString(),
        payload: { n: 1 },
      },
    ],
    'daemon.stop': (params) => {
      writeFileSync(join(folder, 'stop-params'), JSON.stringify(params));
      setImmediate(leave);
      return { stopping: true };
    },
  };
  const start = () => report({ ready: { pid: process.pid, socket: socketPath, warnings: [], takenOver: 0 } });
  if (mode === 'no-socket') start();
  else {
    createServer((connection) => {
      let text = '';
      connection.on('error', () => {});
      connection.on('data', (chunk) => {
        text += chunk;
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const { id, method, params } = JSON.parse(text.slice(0, end));
          text = text.slice(end + 1);
          const answer = answers[method];
          const outcome = answer
            ? { result: answer(params) }
            : { error: { code: -32601, message: `no ${method}` } };
          connection.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`);
        }
      });
    }).listen(socketPath, start);
  }
  setInterval(() => {}, 1_000);
}
