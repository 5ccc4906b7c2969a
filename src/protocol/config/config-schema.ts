import * as v from 'valibot';
import { about, object, setting } from '../schema.js';
import { actionsSchema } from './action-schema.js';
import { agentSchema, agentsSchema, mcpSchema, messagingSchema } from './agent-sections.js';
import { budgetSchema, daemonSchema, gatesSchema, retentionSchema } from './daemon-sections.js';
import { agentName } from './keys.js';
import { isPresetAgent } from './preset-agents.js';
import { rulesSchema } from './rule-schema.js';
import { scheduleSchema } from './schedule-schema.js';
import { watchSchema, webhookSchema } from './source-sections.js';

/**
 * The one schema of `daemon.json`. It takes every shape in use and yields the normal form, all defaults filled in.
 * It judges each place for itself; what one place says about another is judged in `relations.ts`.
 */
export const configSchema = v.pipe(
  object({
    $schema: v.optional(about(v.string(), 'Where editors find the JSON Schema of this file.')),
    daemon: daemonSchema,
    watch: watchSchema,
    schedule: scheduleSchema,
    actions: actionsSchema,
    rules: rulesSchema,
    webhook: webhookSchema,
    default_agent: setting(agentName, 'claude', 'The agent of tasks that name none.'),
    agents: agentsSchema,
    budget: budgetSchema,
    gates: gatesSchema,
    retention: retentionSchema,
    messaging: messagingSchema,
    mcp: mcpSchema,
  }),
  v.transform((file) => {
    const { $schema: _schema, ...config } = file;
    const { default_agent: name, agents } = config;
    if (!isPresetAgent(name) || Object.hasOwn(agents, name)) return config;
    return { ...config, agents: { [name]: v.parse(agentSchema, { provider: name }), ...agents } };
  }),
);

/** The configuration in normal form: one shape for each thing, every default filled in, keys named as in the file. */
export type Config = v.InferOutput<typeof configSchema>;
export type DaemonConfig = Config['daemon'];
export type WatchConfig = Config['watch'];
export type WatchedPath = WatchConfig['paths'][number];
export type ScheduleConfig = Config['schedule'];
export type JobConfig = ScheduleConfig['jobs'][number];
export type JobAction = Config['actions'][string];
export type RuleConfig = Config['rules'][number];
export type RuleAction = RuleConfig['actions'][number];
export type WebhookConfig = Config['webhook'];
export type AgentConfig = Config['agents'][string];
export type BudgetConfig = Config['budget'];
export type MessagingConfig = Config['messaging'];
