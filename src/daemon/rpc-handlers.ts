import type { EventRouter } from '../events/event-router.js';
import type { Handlers } from '../ipc/rpc-server.js';
import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';
import { VERSION } from '../protocol/version.js';
import { callingTask } from './calling-task.js';
import { largeAnswers } from './large-answers.js';
import { spendHandler } from './spend-handler.js';
import { type TaskHandlerParts, taskHandlers } from './task-handlers.js';
import type { TaskWorkspaces } from './task-workspaces.js';
import { worktreeHandlers } from './worktree-handlers.js';

type AutomationMethod = Extract<MethodName, `${'automation' | 'schedule' | 'gate'}.${string}`>;
/** The methods of automation, schedule and gates. */
export type AutomationHandlers = Pick<Handlers, AutomationMethod>;

export interface HandlerParts extends TaskHandlerParts {
  automation: AutomationHandlers;
  workspaces: TaskWorkspaces;
  router: EventRouter;
  clock: Clock;
  status(): Promise<ResultOf<'daemon.status'>>;
  reload(): Promise<ResultOf<'daemon.reload'>>;
  doctor(): Promise<ResultOf<'daemon.doctor'>>;
  stop(wish: Omit<ParamsOf<'daemon.stop'>, 'pid'>): void;
}

const DEFAULT_HISTORY_ROWS = 100;

/** What the daemon answers to each method; the server itself answers `rpc.discover`, `subscribe` and `unsubscribe`. */
export function rpcHandlers(parts: HandlerParts): Handlers {
  const { project, router } = parts;
  const tasks = taskHandlers(parts);
  const inTurn = largeAnswers();
  return {
    ...tasks,
    ...parts.automation,
    ...worktreeHandlers(parts.workspaces, project, inTurn),
    'task.get': (params, call) => inTurn(call.connection, () => tasks['task.get'](params, call)),
    'task.list': (params, call) => inTurn(call.connection, () => tasks['task.list'](params, call)),
    'task.page': (params, call) => inTurn(call.connection, () => tasks['task.page'](params, call)),
    'task.output': (params, call) => inTurn(call.connection, () => tasks['task.output'](params, call)),
    'spend.report': spendHandler(parts.store, parts.clock),
    ping: () => ({ pong: true, pid: process.pid, version: VERSION }),
    'daemon.status': () => parts.status(),
    'daemon.doctor': () => parts.doctor(),
    'daemon.reload': () => parts.reload(),
    'daemon.stop': ({ pid, ...wish }) => {
      if (pid !== undefined && pid !== process.pid) {
        throw new AiwgdError(
          'CONFLICT',
          `This daemon (PID ${process.pid}) has taken the place of PID ${pid}.`,
        );
      }
      parts.stop(wish);
      return { stopping: true };
    },
    'event.emit': ({ topic, payload = {}, ...given }, call) => {
      // An agent may not disown what it does.
      const cause = callingTask(call, project) ?? given.cause;
      const event = { type: topic, source: 'rpc', payload, ...(cause === undefined ? {} : { cause }) };
      return { eventId: router.publish(event).id };
    },
    'event.history': ({ limit = DEFAULT_HISTORY_ROWS, ...query }, { connection }) =>
      inTurn(connection, () => router.history.query({ ...query, limit })),
    'event.dead.list': (_, { connection }) => inTurn(connection, () => router.deadLetters.list()),
    'event.dead.retry': async ({ id }) => ({ delivered: await router.deadLetters.retry(id) }),
    'event.dead.drop': ({ id }) => {
      router.deadLetters.drop(id);
      return { dropped: true };
    },
  };
}
