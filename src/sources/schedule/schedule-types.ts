/** A schedule that the scheduler keeps: of a job, or of a rule's schedule trigger. */
export interface ScheduleEntry {
  /** Unique among all: the job's id, or `rule:<ruleId>:<n>`. */
  id: string;
  cron: string;
  /** Null for the host's. */
  timezone: string | null;
  /** Which of the slots are made up for that passed while the daemon was down or the machine asleep. */
  catchUp: 'none' | 'last' | 'all';
  enabled: boolean;
  kind: 'job' | 'rule';
}

/** A minute in which an entry fires. */
export interface Slot {
  entry: ScheduleEntry;
  /** The minute, in milliseconds since 1970. */
  slot: number;
  /** Whether it was missed and is made up for. */
  caughtUp: boolean;
}
