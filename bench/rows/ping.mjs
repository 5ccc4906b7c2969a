// Round trips and pipelined requests over the daemon's socket, against a server that only sends each line back.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { socketAddress } from '#aiwgd/ipc/running-daemon.js';
import { inTurns, ratioRow } from '../measure.mjs';
import { script, withProject } from '../project.mjs';

const file = fileURLToPath(import.meta.url);
const WINDOW = 256;

export function ping({ turns, roundTrips, pipelined }) {
  return withProject({ agents: { quick: script('exit 0') } }, async (project) => {
    const echoPath = join(project.base, 'echo.sock');
    const echo = fork(file, [echoPath], {
      env: project.environment,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    try {
      await once(echo, 'message');
      await project.start();
      const [raw, ours] = [await openSocket(echoPath), await openSocket(socketAddress(project.paths))];
      const rates = await inTurns(
        turns,
        {
          raw: () => linesPerSecond(raw, roundTrips, 1),
          ours: () => linesPerSecond(ours, roundTrips, 1),
          rawPipelined: () => linesPerSecond(raw, pipelined, WINDOW),
          oursPipelined: () => linesPerSecond(ours, pipelined, WINDOW),
        },
        { warmUp: true },
      );
      raw.destroy();
      ours.destroy();
      await project.stop();
      return [
        ratioRow('ping, one client', { unit: '/s', limit: rates.raw, ours: rates.ours, least: 0.85 }),
        ratioRow(`ping, pipelined (${WINDOW})`, {
          unit: '/s',
          limit: rates.rawPipelined,
          ours: rates.oursPipelined,
          least: 0.6,
        }),
      ];
    } finally {
      echo.kill();
    }
  });
}

async function openSocket(path) {
  const socket = connectSocket(path);
  await once(socket, 'connect');
  return socket;
}

/** The same bare client for both servers. */
function linesPerSecond(socket, total, window) {
  return new Promise((resolve) => {
    let sent = 0;
    let received = 0;
    const send = (count) => {
      let lines = '';
      for (; count > 0 && sent < total; count -= 1) {
        sent += 1;
        lines += `{"jsonrpc":"2.0","id":${sent},"method":"ping"}\n`;
      }
      if (lines !== '') socket.write(lines);
    };
    const begin = performance.now();
    const onData = (chunk) => {
      let lines = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
      received += lines;
      if (received < total) {
        send(lines);
      } else {
        socket.off('data', onData);
        resolve(total / ((performance.now() - begin) / 1000));
      }
    };
    socket.on('data', onData);
    send(window);
  });
}

/** The limit: a server that does nothing with a line but send it back by itself. */
async function serveEcho(path) {
  const server = createServer((socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) socket.write(`${line}\n`);
    });
    // A client that goes away ends its connection: nothing to do here.
    socket.on('error', () => {});
  });
  server.listen(path);
  await once(server, 'listening');
}

if (process.argv[1] === file) {
  // Ends with its parent, also where that is killed.
  process.once('disconnect', () => process.exit());
  await serveEcho(process.argv[2]);
  process.send('ready');
}
