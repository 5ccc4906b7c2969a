/** What helps, where it is not the program that has to change. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room on it.',
  EDQUOT: 'The quota of the disk is used up: make room on it.',
  EROFS: 'The file system is mounted read-only: mount it so that it can be written.',
  EIO: 'The disk does not do what it is told: look at the system log.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine.',
  EACCES: 'The daemon needs to write there.',
  EPERM: 'The daemon needs to write there.',
  EFBIG: 'The file would be larger than the limit allows (ulimit -f).',
};

/** What to tell a person when `path` cannot be written: which file, the system's reason, and what helps. */
export function writeFaultText(path: string, error: unknown): string {
  const { code = '', message = String(error) } = error as Partial<NodeJS.ErrnoException>;
  const remedy = REMEDIES[code];
  return `${path} cannot be written (${message})${remedy === undefined ? '.' : `. ${remedy}`}`;
}
