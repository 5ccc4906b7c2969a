import type { Clock, Timer } from '../platform/clock.js';
import { libc } from '../platform/libc.js';

/** What systemd hears from a service of `Type=notify` (sd_notify(3)); silent where nobody listens. */
export interface ServiceNotifier {
  ready(): void;
  reloading(): void;
  stopping(): void;
  close(): void;
}

const SILENT: ServiceNotifier = { ready: () => {}, reloading: () => {}, stopping: () => {}, close: () => {} };

export interface ServiceNotifierOptions {
  environment: NodeJS.ProcessEnv;
  clock: Clock;
  onFault: (message: string) => void;
}

/** Speaks to the socket in `NOTIFY_SOCKET`, and feeds the watchdog at half of `WATCHDOG_USEC` from `ready()` on. */
export function serviceNotifier({ environment, clock, onFault }: ServiceNotifierOptions): ServiceNotifier {
  const address = environment['NOTIFY_SOCKET'];
  if (address === undefined || address === '') return SILENT;
  const watchdogMs = watchdogInterval(environment);
  let timer: Timer | undefined;
  const send = (message: string): void => {
    try {
      if (!libc().sendDatagram(address, message)) onFault(`systemd does not listen on ${address}`);
    } catch (error) {
      onFault(`systemd can't be told: ${String(error)}`);
    }
  };
  const feed = (): void => {
    if (watchdogMs === undefined) return;
    send('WATCHDOG=1');
    timer = clock.setTimer(watchdogMs / 2, feed);
  };
  return {
    ready: () => {
      send(state('READY'));
      timer?.cancel();
      feed();
    },
    reloading: () => send(`${state('RELOADING')}\nMONOTONIC_USEC=${String(process.hrtime.bigint() / 1000n)}`),
    stopping: () => send(state('STOPPING')),
    close: () => timer?.cancel(),
  };
}

function watchdogInterval(environment: NodeJS.ProcessEnv): number | undefined {
  const usec = Number(environment['WATCHDOG_USEC']);
  const forPid = environment['WATCHDOG_PID'];
  if (!(usec > 0) || (forPid !== undefined && forPid !== String(process.pid))) return undefined;
  return usec / 1000;
}

function state(name: string): string {
  return `${name}=1\nMAINPID=${process.pid}`;
}
