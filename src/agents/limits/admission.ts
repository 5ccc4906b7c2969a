import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { messageOf } from '../../protocol/errors.js';
import type { NewEvent } from '../../protocol/event.js';
import type { DaemonStatus } from '../../protocol/status.js';
import { coversUnknown } from '../../tasks/charges.js';
import type { Charge, Claim, StoredTask, TaskStore } from '../../tasks/task-store.js';
import { type Agent, AgentCatalogue, type ResolvedAgent } from '../agent-catalogue.js';
import type { AgentsConfig } from '../agent-config.js';
import type { AttemptEnd } from '../attempt.js';
import { isCommand } from '../command-task.js';
import { Budget, type BudgetBounds, dollars } from '../money/budget.js';
import { startOfNextDay } from '../money/day.js';
import { sumsOfToday } from '../money/sums-of-today.js';
import { bareEnd, type Settlement, untouched } from '../retry-policy.js';
import { type Demand, Slots } from '../slots.js';
import type { Publish } from '../task-events.js';
import type { TaskRun } from '../task-run.js';
import { LimitEvents, noticeIn } from './limit-events.js';
import { PauseFile } from './pause-file.js';
import { type Admitted, type Circumstances, NO_CIRCUMSTANCES, type Permit } from './permit.js';
import { type PauseReason, ProviderPauses, pauseKey } from './provider-pauses.js';
import { RepeatedLimits } from './repeated-limits.js';
import { type Hold, isCounted, type RouteParts, routeOf } from './routes.js';

export interface AdmissionOptions {
  store: TaskStore;
  clock: Clock;
  log: Log;
  publish: Publish;
  /** What was published on topics that match, as far as it is known; nothing where absent. */
  earlierEvents?: (topic: string) => readonly NewEvent[];
  random: () => number;
  /** Where pauses of providers outlive the daemon. */
  pausesFile: string;
  runs: () => Iterable<TaskRun>;
  /** More may be claimable than a moment ago. */
  wake: () => void;
  settings: AdmissionSettings;
  agents: AgentsConfig;
}

export interface AdmissionSettings {
  /** Agents at once. Where it is 0, commands are not begun either. */
  maxParallel: number;
  budget: BudgetBounds;
}

/** A task that only its own agent can carry out looks again after this time at the earliest. */
const SHORTEST_WAIT_MS = 30_000;

/** Decides what may start: by slots, by money, and by the limits of providers. Commands have slots of their own, and no more. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #slots: Slots;
  readonly #budget: Budget;
  readonly #pauses: ProviderPauses;
  readonly #file: PauseFile;
  readonly #events: LimitEvents;
  readonly #repeated = new RepeatedLimits();
  /** Something is counted of which nobody knows what it cost. */
  #unknown = true;
  /** The store counts less for earlier attempts than we do. */
  #givenBack = false;
  #maxParallel: number;
  #catalogue: AgentCatalogue;
  /** An agent was left out of the last demand for that: the next day it is not. */
  #shortOfMoney = false;

  constructor(options: AdmissionOptions) {
    const { clock, log, publish, random, pausesFile, runs, settings, agents } = options;
    this.#options = options;
    this.#slots = new Slots(runs);
    this.#maxParallel = settings.maxParallel;
    this.#catalogue = new AgentCatalogue(agents);
    this.#budget = new Budget(settings.budget);
    this.#file = new PauseFile(pausesFile, log);
    this.#events = new LimitEvents(publish, log, () => this.#catalogue.all());
    this.#pauses = new ProviderPauses(clock, random, {
      onPaused: (pause) => this.#events.paused(pause),
      onAvailable: (key) => {
        this.#events.available(key);
        void this.#wakeWaiting('rate_limit');
      },
      onChanged: (pauses) => this.#file.write(pauses),
    });
  }

  get catalogue(): AgentCatalogue {
    return this.#catalogue;
  }

  /** Takes up what was spent today, and the pauses that hold. Throws the store's error. */
  async start(): Promise<void> {
    const sums = await sumsOfToday(this.#options.store, this.#now);
    this.#unknown = sums.unknown > 0;
    const told = this.#options.earlierEvents?.('budget.*') ?? [];
    this.#budget.load(
      sums,
      told.flatMap((event) => noticeIn(event) ?? []),
      this.#now,
    );
    // An earlier daemon may have been killed between a cost and the word of it.
    this.#tellBudget();
    this.#pauses.load(this.#file.read());
    this.#forgetPauses();
    // Those pauses hold tasks back that are ready; what waits for others goes on.
    await this.#wakeWaiting('rate_limit');
  }

  /** Holds from the next claim on. Tasks of rules that waited for money look anew. */
  reconfigure(settings: AdmissionSettings, agents: AgentsConfig): void {
    this.#maxParallel = settings.maxParallel;
    this.#catalogue = new AgentCatalogue(agents);
    this.#forgetPauses();
    // Another agent may take over now.
    void this.#wakeWaiting('rate_limit');
    if (!this.#budget.rebound(settings.budget, this.#now)) return;
    this.#tellBudget();
    void this.#wakeWaiting('budget');
  }

  /** Pauses of programs that no agent runs any more. */
  #forgetPauses(): void {
    this.#pauses.keepOnly(new Set([...this.#catalogue.all()].map(({ config }) => pauseKey(config))));
  }

  /** What may be claimed now; null for nothing, and where only commands could be, but none waits. */
  demand(commandsMayWait: boolean, commandAgent: string): Demand | null {
    if (this.#maxParallel <= 0) return null;
    const apart = { agent: commandAgent, limit: this.#slots.freeForCommands() };
    let limit = this.#maxParallel - this.#slots.taken();
    const exceptAgents: (string | null)[] = [];
    this.#shortOfMoney = false;
    for (const agent of this.#catalogue.all()) {
      const { room, hold } = routeOf(this.#catalogue.chain(agent), this.#parts);
      this.#shortOfMoney ||= hold?.waitReason === 'budget';
      if (room <= 0) exceptAgents.push(...this.#catalogue.queueNames(agent));
      // Not more at once than the narrowest agent has room for: all of them might be for it.
      else limit = Math.min(limit, room);
    }
    if (limit <= 0 && !(commandsMayWait && apart.limit > 0)) return null;
    const demand = { limit: Math.max(0, limit), apart };
    return exceptAgents.length === 0 ? demand : { ...demand, exceptAgents };
  }

  /** What becomes of a claim; its money is reserved when this returns. */
  admit(claim: Claim): Admitted {
    const { task } = claim;
    if (isCommand(task)) {
      if (this.#maxParallel <= 0 || this.#slots.freeForCommands() === 0) return { kind: 'back' };
      return { kind: 'run', claim, permit: { by: undefined, reservedUsd: null, standsIn: false } };
    }
    if (this.#slots.taken() >= this.#maxParallel) return { kind: 'back' };
    const resolved = this.#catalogue.resolve(task.agent);
    if (resolved === undefined)
      return settled(bareEnd('failed', this.#catalogue.describeUnknown(task.agent), task));
    const alone = staysWithAgent(claim);
    const chain = this.#catalogue.chain(resolved.agent, task.outside);
    const route = routeOf(alone ? [resolved.agent] : chain, this.#parts);
    // The demand knows agents only: a task that not every stand-in may carry out waits by itself.
    if (route.room <= 0) return alone || task.outside ? this.#wait(claim, route.hold) : { kind: 'back' };
    return this.#admitTo(route.agent, claim, resolved);
  }

  #admitTo(agent: Agent, claim: Claim, resolved: ResolvedAgent): Admitted {
    const { task, attemptId } = claim;
    const payer = { ruleId: task.ruleId, spentUsd: claim.spentUsd };
    const reservation = isCounted(agent) ? this.#budget.reserve(attemptId, payer, this.#now) : { usd: null };
    if ('refused' in reservation) return this.#overBudget(claim, reservation.refused);
    this.#pauses.started(pauseKey(agent.config), attemptId);
    const reservedUsd = reservation.usd;
    if (agent === resolved.agent)
      return { kind: 'run', claim, permit: { by: resolved, reservedUsd, standsIn: false } };
    const subAgent = agent.config.provider === 'claude' ? resolved.subAgent : null;
    // A session is its own agent's: another one begins anew.
    const anew = { ...claim, task: { ...task, sessionId: null }, baseline: null };
    return {
      kind: 'run',
      claim: anew,
      permit: { by: { agent, subAgent }, reservedUsd, standsIn: true, asked: resolved.agent },
    };
  }

  #overBudget(claim: Claim, refused: 'task' | 'day' | 'rule'): Admitted {
    if (refused === 'task') {
      const { perTaskUsd } = this.#budget.bounds;
      const text =
        `Its attempts have cost $${claim.spentUsd.toFixed(2)}, and budget.per_task_usd allows $${perTaskUsd ?? 0}; ` +
        `raise it, then \`aiwgd task retry ${claim.task.id}\``;
      return settled(bareEnd('failed', text, claim.task));
    }
    if (refused === 'day') return { kind: 'back' };
    return this.#wait(claim, { waitReason: 'budget', runAt: startOfNextDay(this.#now) });
  }

  /** Into the queue until a time: it alone is kept back, not its agent. */
  #wait(claim: Claim, hold: Hold | null): Admitted {
    if (hold === null) return { kind: 'back' };
    const runAt = Math.max(hold.runAt ?? 0, this.#now + SHORTEST_WAIT_MS);
    const release = { ...untouched(claim, claim.task.error), waitReason: hold.waitReason, runAt };
    return settled({ kind: 'release', release });
  }

  /** An attempt of an earlier daemon goes on. */
  adopt({ attemptId, claim, permit }: TaskRun): void {
    const usd = permit?.reservedUsd ?? null;
    if (attemptId !== undefined && usd !== null)
      this.#budget.adopt(attemptId, { usd, ruleId: claim.task.ruleId });
  }

  /** An attempt has its first answer of the model. Cheap, and harmless when called again. */
  progressed(attemptId: string): void {
    if (this.#pauses.progressed(attemptId)) this.#options.wake();
  }

  /** How an attempt has ended, before it is decided what becomes of its task. */
  ended(claim: Claim, permit: Permit | undefined, end: AttemptEnd): Circumstances {
    const by = permit?.by?.agent;
    if (by === undefined) return NO_CIRCUMSTANCES;
    const { attemptId, task } = claim;
    const asked = this.#catalogue.resolve(task.agent)?.agent ?? by;
    const foreignSession = pauseKey(asked.config) !== pauseKey(by.config);
    const judged = end.verb === null || end.verb === 'finished';
    const reason = judged ? limitIn(end) : null;
    if (reason === null) {
      // What somebody cut off has shown nothing: another attempt is sent ahead.
      this.#pauses.ended(attemptId, end.launched && judged);
      if (judged) this.#repeated.forget(task.id);
      return { limit: null, foreignSession };
    }
    const { retryAt } = end.verdict;
    const until = this.#pauses.limited(pauseKey(by.config), attemptId, { reason, retryAt });
    const movesOn = !staysWithAgent(claim) && this.#standInFor(asked, by, task.outside);
    const again = this.#repeated.note(task.id, reason);
    return { limit: { until: until + again.delayMs, movesOn, counts: again.counts }, foreignSession };
  }

  /** Whether another agent may carry it out: now, or as soon as that one has a slot. */
  #standInFor(asked: Agent, by: Agent, outside: boolean): boolean {
    return this.#catalogue
      .chain(asked, outside)
      .some((one) => one.name !== by.name && this.#pauses.heldUntil(pauseKey(one.config)) === undefined);
  }

  /** What an attempt has come to is stored, or it is another's: what it reserved becomes what it cost. */
  settled(run: TaskRun): void {
    const { claim, settlement } = run;
    const attemptId = run.attemptId ?? claim.attemptId;
    const { ruleId } = claim.task;
    const reserved = run.permit?.reservedUsd ?? 0;
    const charge = settlement === undefined ? null : chargeIn(settlement);
    const usd = settlement === undefined ? reserved : (charge?.countedUsd ?? 0);
    this.#budget.settle(attemptId, { usd, ruleId }, this.#now);
    this.#tellBudget();
    const cheaper = usd < reserved;
    if (cheaper && ruleId !== null) this.#wakeRule(ruleId);
    if (this.#pauses.ended(attemptId, false) || cheaper) this.#options.wake();
    this.#noteCharge(charge);
  }

  /**
   * What was counted for earlier attempts, whose cost nobody knew, may be part of what a session tells later: the store
   * gives it back then, and so do we.
   */
  #noteCharge(charge: Charge | null): void {
    if (charge !== null) {
      this.#unknown ||= charge.costUsd === null;
      this.#givenBack ||= this.#unknown && coversUnknown(charge);
    }
    if (this.#givenBack && !this.#isStoring) void this.#readSums();
  }

  /** Whether an outcome is on its way to the store: nobody can tell whether its sums hold that already. */
  get #isStoring(): boolean {
    return [...this.#options.runs()].some(({ phase }) => phase === 'storing' || phase === 'unstored');
  }

  async #readSums(): Promise<void> {
    const { store, log, wake } = this.#options;
    this.#givenBack = false;
    const now = this.#now;
    const before = this.#budget.sums(now);
    try {
      const sums = await sumsOfToday(store, now);
      this.#budget.correct(before, sums, now);
      wake();
    } catch (error) {
      this.#givenBack = true;
      log.warn({ error: messageOf(error) }, 'What was spent today cannot be read');
    }
  }

  #wakeRule(ruleId: string): void {
    const limit = this.#budget.fittingRule(ruleId, this.#now);
    if (limit > 0 && Number.isFinite(limit)) void this.#wakeWaiting('budget', { ruleId, limit });
  }

  /** Tasks that wait for the end of a limit, or for another day, look anew. */
  async #wakeWaiting(
    waitReason: 'budget' | 'rate_limit',
    which: { ruleId?: string; limit?: number } = {},
  ): Promise<void> {
    const { store, log, wake } = this.#options;
    try {
      if ((await store.wake({ waitReason, ...which })) > 0) wake();
    } catch (error) {
      log.warn({ error: messageOf(error), waitReason }, 'Tasks that wait cannot be woken');
    }
  }

  /** Why a task that is ready does not start, where its agent is kept back; undefined where nothing does. */
  holdOf(task: Pick<StoredTask, 'state' | 'runAt' | 'agent' | 'outside'>): Hold | undefined {
    const { state, runAt } = task;
    if (state !== 'queued' || isCommand(task) || (runAt !== null && Date.parse(runAt) > this.#now))
      return undefined;
    const agent = this.#catalogue.resolve(task.agent)?.agent;
    return (agent && routeOf(this.#catalogue.chain(agent, task.outside), this.#parts).hold) ?? undefined;
  }

  /** Milliseconds until the demand may change by itself; null where it does not. */
  changesInMs(): number | null {
    const pauses = this.#pauses.changesInMs();
    if (!this.#shortOfMoney) return pauses;
    return Math.min(pauses ?? Number.POSITIVE_INFINITY, startOfNextDay(this.#now) - this.#now);
  }

  status(): Pick<
    DaemonStatus['subsystems']['supervisor'],
    'spentTodayUsd' | 'reservedUsd' | 'dayLimitUsd' | 'paused'
  > {
    return {
      spentTodayUsd: dollars(this.#budget.spentUsd(this.#now)),
      reservedUsd: dollars(this.#budget.reservedUsd()),
      dayLimitUsd: this.#budget.bounds.perDayUsd,
      paused: this.#pauses.list().map((pause) => this.#events.describe(pause)),
    };
  }

  #tellBudget(): void {
    for (const notice of this.#budget.notices(this.#now)) this.#events.budget(notice);
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  get #parts(): RouteParts {
    return {
      clock: this.#options.clock,
      pauses: this.#pauses,
      budget: this.#budget,
      taken: (agentName) => this.#slots.taken(agentName),
    };
  }
}

function limitIn({ verdict: { failureClass } }: AttemptEnd): PauseReason | null {
  return failureClass === 'rate_limit' || failureClass === 'overloaded' ? failureClass : null;
}

function settled(settlement: Settlement): Admitted {
  return { kind: 'settle', settlement };
}

/** A conversation that has a session is known to its own agent only. */
function staysWithAgent({ task, past }: Claim): boolean {
  return task.conversation !== null && (task.sessionId ?? past?.sessionId ?? null) !== null;
}

function chargeIn(settlement: Settlement): Charge | null {
  return settlement.kind === 'finish' ? settlement.outcome.charge : settlement.release.charge;
}
