/**
 * An error that nobody caught must not end the daemon with everybody's work: it is told, and the daemon goes on. What is
 * durable is in the store, which rolls back whatever was half done. Returns the way to take the guard down.
 */
export function guardAgainstCrashes(tell: (error: unknown) => void): () => void {
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
  return () => {
    process.off('uncaughtException', tell);
    process.off('unhandledRejection', tell);
  };
}
