/** What the process's signals ask of the daemon. */
export interface SignalHandlers {
  /** `again` is true from the second request on: no more patience. */
  stop(signal: string, again: boolean): void;
  reload(): void;
}

/**
 * The one place that owns signals. SIGUSR1 is taken too, because Node would open its debugger's port on it.
 * Returns the way to let go of them.
 */
export function installSignals(handlers: SignalHandlers): () => void {
  let stops = 0;
  const stop = (signal: string): void => {
    stops += 1;
    handlers.stop(signal, stops > 1);
  };
  const listeners: [NodeJS.Signals, NodeJS.SignalsListener][] = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGHUP', () => handlers.reload()],
    ['SIGUSR1', () => {}],
    ['SIGUSR2', () => {}],
  ];
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
