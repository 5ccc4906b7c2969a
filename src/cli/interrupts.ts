/** Work to do before the command goes; may take a moment. */
export type Cleanup = () => void | Promise<void>;

export interface Interrupts {
  add(cleanup: Cleanup): void;
  /** Never resolves once an interrupt came (the process ends by it), at once otherwise. */
  settled(): Promise<void>;
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Ends the process at a signal with 128 plus the signal's number, after the registered cleanups, newest first.
 * A second signal does not wait for them.
 */
export function watchInterrupts(): Interrupts {
  const cleanups: Cleanup[] = [];
  let interrupted = false;

  const end = async (code: number): Promise<void> => {
    if (interrupted) process.exit(code);
    interrupted = true;
    for (const cleanup of cleanups.toReversed()) {
      try {
        await cleanup();
      } catch (error) {
        process.stderr.write(`aiwgd: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
    process.exit(code);
  };
  for (const [signal, code] of Object.entries(EXIT_CODES)) process.on(signal, () => void end(code));

  return {
    add: (cleanup) => {
      cleanups.push(cleanup);
    },
    settled: () => (interrupted ? new Promise(() => {}) : Promise.resolve()),
  };
}
