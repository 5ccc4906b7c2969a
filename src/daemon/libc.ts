import { createRequire } from 'node:module';
import type koffi from 'koffi';

/** The few system calls that Node does not offer. Loading takes some 12 ms, so only who needs one calls `libc()`. */
export interface Libc {
  /** flock(2); 0, or -1 when the lock is held by another open file. */
  flock(fd: number, operation: number): number;
  /** waitpid(2) without waiting; the pid that was reaped, 0, or -1. */
  reap(pid: number): number;
  /** Sends one datagram to a Unix socket (a leading `@` names an abstract one); false when it could not be sent. */
  sendDatagram(address: string, message: string): boolean;
}

export const LOCK_EX = 2;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const WNOHANG = 1;

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
  const waitpid = library.func('int waitpid(int pid, void *status, int options)');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const sendto = library.func(
    'intptr_t sendto(int fd, void *message, size_t length, int flags, void *address, uint32_t size)',
  );
  const close = library.func('int close(int fd)');
  return {
    flock: (fd, operation) => flock(fd, operation) as number,
    reap: (pid) => waitpid(pid, null, WNOHANG) as number,
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
