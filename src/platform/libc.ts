import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type koffi from 'koffi';

/** A process to be: leader of its own session, every signal with its default action. */
export interface DetachedSpawn {
  /** Absolute. */
  program: string;
  /** The name first. */
  argv: readonly string[];
  /** `NAME=value`; nothing else is inherited. */
  env: readonly string[];
  cwd: string;
  /** Open files that become its descriptors 0, 1, 2 …; it has no others. */
  files: readonly number[];
}

/** The few system calls that Node does not offer. Loading takes some 12 ms, so only who needs one calls `libc()`. */
export interface Libc {
  /** flock(2); 0, or -1 when the lock is held by another open file. */
  flock(fd: number, operation: number): number;
  /** Keeps an open file from the programs that this process starts. */
  closeOnExec(fd: number): void;
  /** waitpid(2) without waiting; the pid that was reaped, 0, or -1. */
  reap(pid: number): number;
  /** posix_spawn(3) as `DetachedSpawn` says it; Linux only. Answers the pid. Throws the system's error. */
  spawnDetached: (spawn: DetachedSpawn) => number;
  /** Who made a connection, as the kernel noted it then: SO_PEERCRED of unix(7); Linux only. Undefined where it cannot say. */
  peerOf(fd: number): { pid: number; uid: number } | undefined;
  /** mkfifo(3), readable and writable by us alone. Throws the system's error. */
  makeFifo(path: string): void;
  /** Has a pipe hold `bytes`, or as much of that as the system grants; it grants nothing elsewhere than on Linux. */
  enlargePipe(fd: number, bytes: number): void;
  /** Bytes in a pipe that nobody has read yet; where the system cannot say, 0. */
  unread(fd: number): number;
  /** Sends one datagram to a Unix socket (a leading `@` names an abstract one); false when it could not be sent. */
  sendDatagram(address: string, message: string): boolean;
}

export const LOCK_EX = 2;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid. */
const UCRED_BYTES = 12;
const WNOHANG = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_SETPIPE_SZ = 1031;
/** What a pipe has without being asked. */
const USUAL_PIPE_BYTES = 64 * 1024;
/** As in <sys/ioctl.h> of Linux and of macOS. */
const FIONREAD = process.platform === 'darwin' ? 0x4004667f : 0x541b;

function socketAddress(address: string): Buffer {
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  const name = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : `${address}\0`);
  return Buffer.concat([family, name]);
}

let loaded: Libc | undefined;

/** Throws where the native part is not available on this platform. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  const ffi = createRequire(import.meta.url)('koffi') as typeof koffi;
  const library = ffi.load(process.platform === 'darwin' ? 'libSystem.dylib' : null);
  const flock = library.func('int flock(int fd, int operation)');
  const fcntl = library.func('int fcntl(int fd, int command, ...)');
  const waitpid = library.func('int waitpid(int pid, void *status, int options)');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const sendto = library.func(
    'intptr_t sendto(int fd, void *message, size_t length, int flags, void *address, uint32_t size)',
  );
  const close = library.func('int close(int fd)');
  const getsockopt = library.func(
    'int getsockopt(int fd, int level, int option, void *value, _Inout_ uint32_t *length)',
  );
  const mkfifo = library.func('int mkfifo(const char *path, uint32_t mode)');
  const ioctl = library.func('int ioctl(int fd, unsigned long request, ...)');
  return {
    flock: (fd, operation) => flock(fd, operation) as number,
    closeOnExec: (fd) => void fcntl(fd, F_SETFD, 'int', FD_CLOEXEC),
    reap: (pid) => waitpid(pid, null, WNOHANG) as number,
    spawnDetached: spawner(library),
    peerOf: (fd) => {
      const credentials = Buffer.alloc(UCRED_BYTES);
      const length: [number] = [UCRED_BYTES];
      if ((getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) as number) !== 0) return undefined;
      return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
    },
    makeFifo: (path) => {
      if ((mkfifo(path, 0o600) as number) === 0) return;
      const code = getSystemErrorName(-ffi.errno());
      throw Object.assign(new Error(`${code}: no FIFO can be made at ${path}`), { code });
    },
    enlargePipe: (fd, bytes) => {
      if (process.platform !== 'linux') return;
      // A user has a budget for all pipes together: less may be granted where this much is not.
      for (let size = bytes; size > USUAL_PIPE_BYTES; size /= 2)
        if ((fcntl(fd, F_SETPIPE_SZ, 'int', size) as number) >= 0) return;
    },
    unread: (fd) => {
      const count = Buffer.alloc(4);
      return (ioctl(fd, FIONREAD, 'void *', count) as number) === 0 ? count.readInt32LE(0) : 0;
    },
    sendDatagram: (address, message) => {
      const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) as number;
      if (fd < 0) return false;
      const to = socketAddress(address);
      const bytes = Buffer.from(message);
      const sent = sendto(fd, bytes, bytes.length, 0, to, to.length) as number;
      close(fd);
      return sent === bytes.length;
    },
  };
}

// As in <spawn.h> of glibc and musl alike.
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** More than the opaque structures of any C library take: posix_spawnattr_t has 336 bytes in glibc. */
const OPAQUE_BYTES = 512;

/**
 * Why not Node's own `spawn`: it forks, which copies the page tables of the whole process, 1.5 ms of this thread where
 * a daemon holds 67 MB. posix_spawn shares them with the child until its exec: 0.25 ms.
 */
function spawner(library: ReturnType<typeof koffi.load>): Libc['spawnDetached'] {
  if (process.platform !== 'linux') return unsupported;
  const filesInit = library.func('int posix_spawn_file_actions_init(void *actions)');
  const filesDestroy = library.func('int posix_spawn_file_actions_destroy(void *actions)');
  const addDup2 = library.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)');
  const addChdir = library.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
  const attributesInit = library.func('int posix_spawnattr_init(void *attributes)');
  const setFlags = library.func('int posix_spawnattr_setflags(void *attributes, short flags)');
  const setDefaults = library.func('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
  const fillSignals = library.func('int sigfillset(void *signals)');
  const posixSpawn = library.func(
    'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
  );
  // The attributes are the same for all: an empty signal mask, every signal with its default action, a new session.
  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const signals = Buffer.alloc(OPAQUE_BYTES);
  attributesInit(attributes);
  fillSignals(signals);
  setDefaults(attributes, signals);
  setFlags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const actions = Buffer.alloc(OPAQUE_BYTES);
  return ({ program, argv, env, cwd, files }) => {
    const pid: [number] = [0];
    let fault = filesInit(actions) as number;
    for (const [target, fd] of files.entries()) fault ||= addDup2(actions, fd, target) as number;
    fault ||= addChdir(actions, cwd) as number;
    fault ||= posixSpawn(pid, program, actions, attributes, [...argv, null], [...env, null]) as number;
    filesDestroy(actions);
    if (fault === 0) return pid[0];
    const code = getSystemErrorName(-fault);
    throw Object.assign(new Error(`${code}: ${program} cannot be spawned`), { code });
  };
}

function unsupported(): never {
  throw new Error('posix_spawn is not made for this platform here');
}
