/**
 * The runner: a POSIX shell of about one megabyte in a session of its own, parent of one agent. It needs nobody alive:
 * what happens to the daemon, the agent goes on, and how it ended stands in the attempt's record.
 *
 * It gets four open files: 0 and 1 are the agent's stdin and stdout, 2 is the record, to which the shell's own words go
 * too, 3 is the agent's stderr. It outlives signals that are sent to the whole group: its traps do nothing, and are not
 * inherited, so the agent starts with every signal as it should be. The subshell that names itself becomes the agent
 * by `exec`: pid and start time are the agent's own.
 */
/** What a process list shows first. */
const ABOUT = '# aiwgd: waits for the agent that is named last, and notes how it ends';

const LINUX = `${ABOUT}
trap : HUP INT QUIT TERM USR1 USR2 ALRM
say() { read -r aiwgd_stat </proc/self/stat; echo "$1 $aiwgd_stat" >&2; }
say runner
( say agent; unset PWD OLDPWD; exec "$@" 2>&3 3>&- )
echo "exit $?" >&2`;

/** Without /proc: the agent's shell names itself, then becomes the agent; its start time is asked of ps. */
const ELSEWHERE = `${ABOUT}
trap : HUP INT QUIT TERM USR1 USR2 ALRM
echo "runner $$ $(ps -o lstart= -p $$)" >&2
( exec sh -c 'echo "agent $$ $(ps -o lstart= -p $$)" >&2; unset PWD OLDPWD; exec "$@" 2>&3 3>&-' agent "$@" )
echo "exit $?" >&2`;

/** For `sh -c`; the program and its arguments follow after one word for `$0`. */
export const RUNNER_SCRIPT = process.platform === 'linux' ? LINUX : ELSEWHERE;

export const RUNNER_SHELL = '/bin/sh';

/** So much room the record has for its lines from the beginning: a full disk cannot keep the runner from writing them. */
export const NOTES_BYTES = 4096;

/** A process as the runner wrote it down. */
export interface RecordedProcess {
  pid: number;
  /** As `ProcessIdentity.startTime`. */
  startTime: string;
}

/** What the runner has written so far. */
export interface RunnerNotes {
  runner: RecordedProcess | undefined;
  agent: RecordedProcess | undefined;
  /** As the shell tells it: 128 + n for an end by signal n. */
  exitCode: number | undefined;
}

/** Reads the runner's lines; a line that is not whole yet, and whatever the shell said beside them, is passed over. */
export function parseNotes(text: string): RunnerNotes {
  const notes: RunnerNotes = { runner: undefined, agent: undefined, exitCode: undefined };
  for (const line of text.split('\n').slice(0, -1)) {
    const exit = /^exit (\d{1,3})$/u.exec(line);
    if (exit) {
      notes.exitCode = Number(exit[1]);
      continue;
    }
    const named = /^(runner|agent) (\d{1,10} .*)$/u.exec(line);
    if (named !== null) notes[named[1] as 'runner' | 'agent'] = recorded(named[2] ?? '');
  }
  return notes;
}

/** `pid (name) state …` as /proc/<pid>/stat has it, or `pid date` as ps says it. */
function recorded(text: string): RecordedProcess | undefined {
  const words = text.trim().split(/\s+/u);
  const pid = Number(words[0]);
  const nameEnd = text.lastIndexOf(')');
  if (nameEnd < 0) return { pid, startTime: words.slice(1).join(' ') };
  const startTime = text.slice(nameEnd + 2).split(' ')[START_TIME_FIELD];
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Counted from the state, which follows the name (proc(5)). */
const START_TIME_FIELD = 19;
