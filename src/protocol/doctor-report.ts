/** `warning`: it works, but something is missing or will be; `failed`: something does not work. */
export const CHECK_STATUSES = ['ok', 'warning', 'failed'] as const;
export type CheckStatus = (typeof CHECK_STATUSES)[number];

/** What one look at one thing found. Never holds the value of a variable. */
export interface CheckResult {
  name: string;
  status: CheckStatus;
  detail: string;
  /** What to do about it. */
  remedy?: string;
}

export interface DoctorReport {
  checks: CheckResult[];
  /** Whether nothing has failed; there may be warnings. */
  ok: boolean;
}

/** The report for a person: a line for each check, and one for what to do about it. */
export function doctorLines({ checks }: DoctorReport): string[] {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, detail, remedy }) => [
    `${status.padEnd('warning'.length)}  ${name.padEnd(width)}  ${detail}`,
    ...(remedy === undefined ? [] : [`${' '.repeat('warning'.length + width + 4)}${remedy}`]),
  ]);
  return [...lines, '', conclusion(checks)];
}

function conclusion(checks: readonly CheckResult[]): string {
  const failed = checks.filter(({ status }) => status === 'failed').length;
  const warnings = checks.filter(({ status }) => status === 'warning').length;
  if (failed + warnings === 0) return 'All is well.';
  return `${failed} failed, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`;
}
