import { exactOptional } from 'valibot';
import type { Gate } from '../../protocol/automation.js';
import type { AiwgEvent } from '../../protocol/event.js';
import type { ParamsOf } from '../../protocol/method-types.js';
import { about, wholeNumber } from '../../protocol/schema.js';
import { visibleLine, visibleText } from '../../protocol/visible-text.js';
import { boundedValue, cutText } from './bounded.js';
import { fieldsOf, plainAnswer, type Tool, type ToolAnswer, type ToolSpec } from './tool.js';

/** Gates are to be seen whole: what is approved must have been shown. */
const GATE_CHARACTERS = 32 * 1024;
const MOST_GATES = 50;
const EVENT_ROWS = 50;
const EVENT_CHARACTERS = 4_000;

function gateText(gate: Gate): string {
  const { id, state, summary, action, expiresAt, taskId } = gate;
  const whose = taskId === null ? '' : ` (${taskId})`;
  const until = state === 'pending' ? `, until ${expiresAt}` : '';
  return visibleText(
    cutText(`${id} ${state}${until}${whose}: ${summary}\nA yes does: ${action}`, GATE_CHARACTERS),
  );
}

const gateAnswer = (gate: Gate): ToolAnswer => ({
  structured: boundedValue(gate, GATE_CHARACTERS) as Record<string, unknown>,
  text: gateText(gate),
});

const gates: ToolSpec<ParamsOf<'gate.list'>> = {
  name: 'list_gates',
  title: 'List gates',
  description: 'Questions that wait for a yes or no of a person, each with exactly what a yes does.',
  methods: ['gate.list'],
  reads: true,
  entries: fieldsOf('gate.list', {
    state: 'Only those in this state, or `all`; those pending where not given',
  }),
  run: async (params, { daemon, signal }) => {
    const all = await daemon.call('gate.list', params, signal);
    // The newest come first.
    const shown = all.slice(0, MOST_GATES);
    const left = all.length - shown.length;
    const lines = shown.length === 0 ? ['No gates.'] : shown.map(gateText);
    if (left > 0) lines.push(`${left} older ones are left out.`);
    return {
      structured: { gates: shown.map((gate) => boundedValue(gate, GATE_CHARACTERS)), leftOut: left },
      text: lines.join('\n\n'),
    };
  },
};

const approve: ToolSpec<{ gateId: string }> = {
  name: 'approve_gate',
  title: 'Approve a gate',
  description:
    'Says yes to exactly what a gate shows, for the person who told you to. Never by your own judgement. The daemon refuses it to agents of the project.',
  methods: ['gate.approve'],
  reads: false,
  destructive: true,
  entries: fieldsOf('gate.approve', { gateId: null }),
  run: async (params, { daemon, signal }) => gateAnswer(await daemon.call('gate.approve', params, signal)),
};

const reject: ToolSpec<{ gateId: string; reason?: string }> = {
  name: 'reject_gate',
  title: 'Reject a gate',
  description: 'Says no to a gate: what it shows is not done.',
  methods: ['gate.reject'],
  reads: false,
  destructive: true,
  entries: fieldsOf('gate.reject', { gateId: null, reason: 'Kept with the answer, for people' }),
  run: async (params, { daemon, signal }) => gateAnswer(await daemon.call('gate.reject', params, signal)),
};

function eventLine(event: AiwgEvent): string {
  const payload = JSON.stringify(boundedValue(event.payload, 200));
  return visibleLine(`${event.timestamp} ${event.type} ${payload} [${event.id}]`);
}

const events: ToolSpec<ParamsOf<'event.history'>> = {
  name: 'read_events',
  title: 'Read events',
  description:
    'The newest events of the project (files, times, webhooks, tasks, gates), oldest first; `before` reaches further back.',
  methods: ['event.history'],
  reads: true,
  entries: {
    ...fieldsOf('event.history', {
      topic: 'Only these: segments joined by . or :, * within a segment, ** across them, as in task:*',
      before: null,
    }),
    limit: about(exactOptional(wholeNumber(1, 200)), `Events at most; ${EVENT_ROWS} where not given`),
  },
  run: async ({ limit = EVENT_ROWS, ...query }, { daemon, signal }) => {
    const found = await daemon.call('event.history', { ...query, limit }, signal);
    return {
      structured: { events: found.map((event) => boundedValue(event, EVENT_CHARACTERS)) },
      text: found.length === 0 ? 'No events.' : found.map(eventLine).join('\n'),
    };
  },
};

const emit: ToolSpec<ParamsOf<'event.emit'>> = {
  name: 'emit_event',
  title: 'Publish an event',
  description: 'Publishes an event, which may set off rules of the project.',
  methods: ['event.emit'],
  reads: false,
  entries: fieldsOf('event.emit', { topic: 'Such as build.failed', payload: 'A JSON object' }),
  run: async (params, { daemon, signal }) => {
    const answer = await daemon.call('event.emit', { ...params, ...daemon.cause }, signal);
    return { structured: { ...answer }, text: `${answer.eventId} is published.` };
  },
};

const status: ToolSpec<ParamsOf<'daemon.status'>> = {
  name: 'daemon_status',
  title: 'State of the daemon',
  description: 'Health, with its reasons; numbers of tasks by state; each subsystem.',
  methods: ['daemon.status'],
  reads: true,
  entries: {},
  run: async (params, { daemon, signal }) => {
    const answer = await daemon.call('daemon.status', params, signal);
    const { health, task_stats: tasks } = answer;
    const issues = health.issues.map(({ message }) => `- ${message}`);
    const counts = `${tasks.running} tasks running, ${tasks.queued} queued, ${tasks.total} in all`;
    return {
      structured: plainAnswer({ ...answer }).structured,
      text: visibleText(cutText([`${health.status}; ${counts}`, ...issues].join('\n'), EVENT_CHARACTERS)),
    };
  },
};

const rules: ToolSpec<ParamsOf<'automation.status'>> = {
  name: 'list_rules',
  title: 'List rules',
  description: 'The rules of the project, what they are at, and their newest runs.',
  methods: ['automation.status'],
  reads: true,
  entries: {},
  run: async (params, { daemon, signal }) =>
    plainAnswer({ ...(await daemon.call('automation.status', params, signal)) }),
};

const trace: ToolSpec<ParamsOf<'automation.trace'>> = {
  name: 'explain_rules',
  title: 'Why rules fired, or did not',
  description: 'Why rules fired, or did not, the newest first.',
  methods: ['automation.trace'],
  reads: true,
  entries: {
    ...fieldsOf('automation.trace', { ruleId: null }),
    limit: about(exactOptional(wholeNumber(1, 100)), 'Entries at most; 20 where not given'),
  },
  run: async ({ limit = 20, ...params }, { daemon, signal }) =>
    plainAnswer({ ...(await daemon.call('automation.trace', { ...params, limit }, signal)) }),
};

const jobs: ToolSpec<ParamsOf<'schedule.list'>> = {
  name: 'list_jobs',
  title: 'List jobs',
  description: 'The jobs that run at set times, with their next and last runs.',
  methods: ['schedule.list'],
  reads: true,
  entries: {},
  run: async (params, { daemon, signal }) =>
    plainAnswer({ jobs: await daemon.call('schedule.list', params, signal) }),
};

const runJob: ToolSpec<ParamsOf<'schedule.run'>> = {
  name: 'run_job',
  title: 'Run a job now',
  description: 'Runs a job now. `runId` is null where its policy of overlap passed over this run.',
  methods: ['schedule.run'],
  reads: false,
  entries: fieldsOf('schedule.run', { jobId: 'Id of a job, as list_jobs has it' }),
  run: async (params, { daemon, signal }) =>
    plainAnswer({ ...(await daemon.call('schedule.run', params, signal)) }),
};

/** What goes on in the project: gates, events, rules, jobs, the daemon itself. */
export const PROJECT_TOOLS: readonly Tool[] = [
  gates,
  approve,
  reject,
  events,
  emit,
  status,
  rules,
  trace,
  jobs,
  runJob,
];
