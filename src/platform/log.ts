/** What a subsystem may write: structured fields first, then a sentence. The daemon passes pino, a test a recorder. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
