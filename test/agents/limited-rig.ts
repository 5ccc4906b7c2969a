import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentsConfig } from '#aiwgd/agents/agent-config.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { Rig, type RigOptions, until } from './harness.js';

export const SESSION = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
/** What claude prints when the model has answered. */
export const ANSWER =
  '{"type":"assistant","parent_tool_use_id":null,"message":{"id":"m1","role":"assistant","content":[{"type":"text","text":"hm"}],"usage":{"input_tokens":1,"output_tokens":1}}}';

/**
 * Speaks as claude does, but not while the file `hold` is there. Meets a limit as long as the file `limit` is there, which holds its status; crashes for the prompt
 * `crash`; waits for the file `go-<prompt>` where its prompt
 * is `wait…`, and meanwhile says what is in the file `answer`.
 */
export const CLAUDE = `#!/bin/sh
prompt=$(cat)
echo "$@" > "began-$AIWG_TASK_ID-$(date +%s%N)"
echo '{"type":"system","subtype":"init","session_id":"${SESSION}"}'
while [ -f hold ]; do sleep 0.02; done
case "$prompt" in wait*)
  while [ ! -f "go-$prompt" ]; do
    if [ -f answer ] && [ -z "$answered" ]; then answered=1; cat answer; fi
    sleep 0.02
  done ;;
esac
if [ "$prompt" = crash ] && [ ! -f crashed ]; then touch crashed; kill -KILL $$; fi
if [ -f limit ]; then
  cat resets 2>/dev/null
  echo '{"type":"result","subtype":"success","is_error":true,"result":"no","api_error_status":'$(cat limit)'}'
  exit 1
fi
echo '{"type":"result","subtype":"success","is_error":false,"result":"by claude"}'
`;

export type LimitRig = Rig & { clock: FakeClock };

export const CLAUDE_AGENT = { provider: 'claude' as const, program: './claude' };

export async function limited(agents: AgentsConfig['agents'] = {}, more: RigOptions = {}): Promise<LimitRig> {
  const clock = new FakeClock();
  const rig = new Rig({
    agents: { claude: CLAUDE_AGENT, ...agents },
    clock,
    settings: { maxParallel: 4, actionTimeoutMs: 1e9 },
    ...more,
  });
  rig.program('claude', CLAUDE);
  return Object.assign(rig, { clock });
}

export async function startedLimited(agents: AgentsConfig['agents'] = {}): Promise<LimitRig> {
  const rig = await limited(agents);
  await rig.supervisor.start();
  return rig;
}

export function limit(rig: Rig, status = '429'): void {
  writeFileSync(join(rig.root, 'limit'), status);
}

export function lift(rig: Rig): void {
  writeFileSync(join(rig.root, 'limit'), '');
  rig.program('claude', CLAUDE.replace('-f limit', '-s limit'));
}

/** Real time: agents are real processes. */
const PATIENCE_MS = 30_000;

/** The attempts of claude that began. */
export function began(rig: Rig): string[] {
  return readdirSync(rig.root)
    .filter((name) => name.startsWith('began-'))
    .map((name) => name.slice('began-'.length, 'began-task-0000'.length));
}

export async function passing(
  rig: LimitRig,
  what: string,
  condition: () => unknown,
  ms = 100,
): Promise<void> {
  await until(
    what,
    () => {
      rig.clock.advance(ms);
      return condition();
    },
    PATIENCE_MS,
  );
}

export const has = (rig: Rig, id: string, topic: string): boolean => rig.topics(id).includes(topic);

export function payloads(rig: Rig, type: string): Record<string, unknown>[] {
  return rig.events.filter((event) => event.type === type).map(({ payload }) => payload);
}

/** Has claude meet a limit, and answers the task that met it. */
export async function met(rig: LimitRig, prompt = 'echo by sh'): Promise<string> {
  limit(rig);
  const id = await rig.submit(prompt, { agent: 'claude' });
  await passing(rig, 'the limit is met', () => payloads(rig, 'agent.rate_limited').length === 1);
  return id;
}
