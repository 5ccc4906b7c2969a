import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serviceNotifier } from '#aiwgd/daemon/sd-notify.js';
import { FakeClock } from '#aiwgd/testing/index.js';
import { tempFolder, until } from '../support/temp.js';

/** Node has no datagram sockets for paths: Perl, which every Debian has, listens and prints what comes. */
const LISTENER = `
  use Socket; $| = 1; socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])) or die $!;
  print "up\\n"; while (defined recv(S, $m, 4096, 0)) { $m =~ s/\\n/ /g; print "$m\\n" }`;

async function listen(address: string): Promise<() => string[]> {
  const child = spawn('perl', ['-e', LISTENER, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  await until('the listener is up', () => text.startsWith('up\n'));
  return () => text.split('\n').slice(1, -1);
}

describe('what systemd hears', () => {
  it.runIf(process.platform === 'linux')(
    'is READY, WATCHDOG at half its time, RELOADING and STOPPING',
    async () => {
      const address = join(tempFolder(), 'notify');
      const heard = await listen(address);
      const clock = new FakeClock();
      const faults: string[] = [];
      const notifier = serviceNotifier({
        environment: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '4000000', WATCHDOG_PID: String(process.pid) },
        clock,
        onFault: (message) => faults.push(message),
      });
      notifier.ready();
      clock.advance(2000);
      notifier.reloading();
      notifier.stopping();
      notifier.close();
      clock.advance(10_000);
      await until('all has arrived', () => heard().length >= 5);
      const pid = `MAINPID=${process.pid}`;
      expect(heard()).toEqual([
        `READY=1 ${pid}`,
        'WATCHDOG=1',
        'WATCHDOG=1',
        expect.stringMatching(new RegExp(`^RELOADING=1 ${pid} MONOTONIC_USEC=\\d+$`)),
        `STOPPING=1 ${pid}`,
      ]);
      expect(faults).toEqual([]);
    },
  );

  it('is nothing where nobody asked, and a fault where nobody listens', () => {
    const faults: string[] = [];
    const options = { clock: new FakeClock(), onFault: (message: string) => faults.push(message) };
    serviceNotifier({ ...options, environment: {} }).ready();
    expect(faults).toEqual([]);
    const gone = join(tempFolder(), 'gone');
    serviceNotifier({ ...options, environment: { NOTIFY_SOCKET: gone } }).ready();
    expect(faults).toEqual([`systemd does not listen on ${gone}`]);
  });
});
