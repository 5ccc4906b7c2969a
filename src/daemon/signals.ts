/** What the process's signals ask of the daemon. */
export interface SignalHandlers {
  /** `again` is true where an end was asked for before: no more patience. */
  stop(signal: string, again: boolean): void;
  /** End, and leave agents that run to the next daemon. */
  handOver(signal: string): void;
  reload(): void;
}

/**
 * The one place that owns signals. SIGUSR1 is taken too, because Node would open its debugger's port on it.
 * Returns the way to let go of them.
 */
export function installSignals(handlers: SignalHandlers): () => void {
  let asked = false;
  const stop = (signal: string): void => {
    handlers.stop(signal, asked);
    asked = true;
  };
  const handOver = (signal: string): void => {
    handlers.handOver(signal);
    asked = true;
  };
  const listeners: [NodeJS.Signals, NodeJS.SignalsListener][] = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGHUP', () => handlers.reload()],
    ['SIGUSR1', () => {}],
    ['SIGUSR2', handOver],
  ];
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
