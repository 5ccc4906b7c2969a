// Round trips and pipelined requests of the RPC server, against a server that only sends each line back.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(import.meta.url);
const PASSES = 3;
const ROUND_TRIPS = 20_000;
const PIPELINED = 100_000;
const WINDOW = 256;

/** @returns {Promise<{name: string, limit: number, ours: number, unit: string, goal: number}[]>} */
export default async function ipc() {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-bench-'));
  const children = [];
  const start = async (kind) => {
    const path = join(folder, kind, 'daemon.sock');
    const child = fork(file, [kind, path], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    children.push(child);
    await once(child, 'message');
    return path;
  };
  try {
    const [raw, ours] = [await start('echo'), await start('server')];
    // Taken in turns, so that a busy machine slows both alike; the best pass of each counts.
    const best = { raw: [0, 0], ours: [0, 0], client: [0, 0] };
    for (let pass = 0; pass < PASSES; pass++) {
      keepBest(best.raw, await measureLines(raw));
      keepBest(best.ours, await measureLines(ours));
      keepBest(best.client, await measureClient(ours));
    }
    const row = (name, kind, at, goal) => ({
      name,
      limit: Math.round(best.raw[at]),
      ours: Math.round(best[kind][at]),
      unit: '/s',
      goal,
    });
    return [
      row('ipc: round trips', 'ours', 0, 0.85),
      row('ipc: pipelined', 'ours', 1, 0.6),
      row('ipc: round trips, typed client', 'client', 0, 0.7),
      row('ipc: pipelined, typed client', 'client', 1, 0.5),
    ];
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function keepBest(best, rates) {
  for (const [at, rate] of rates.entries()) best[at] = Math.max(best[at], rate);
}

/** The same bare client for both servers: [round trips per second, pipelined requests per second]. */
async function measureLines(path) {
  const socket = connectSocket(path);
  await once(socket, 'connect');
  const run = (total, window) =>
    new Promise((resolve) => {
      let sent = 0;
      let received = 0;
      const send = (count) => {
        let lines = '';
        for (; count > 0 && sent < total; count--)
          lines += `{"jsonrpc":"2.0","id":${++sent},"method":"ping"}\n`;
        if (lines !== '') socket.write(lines);
      };
      const started = performance.now();
      const onData = (chunk) => {
        let lines = 0;
        for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++;
        received += lines;
        if (received < total) {
          send(lines);
        } else {
          socket.off('data', onData);
          resolve(total / ((performance.now() - started) / 1000));
        }
      };
      socket.on('data', onData);
      send(window);
    });
  await run(ROUND_TRIPS / 10, 1);
  const rates = [await run(ROUND_TRIPS, 1), await run(PIPELINED, WINDOW)];
  socket.destroy();
  return rates;
}

async function measureClient(socket) {
  const { connect } = await import('#aiwgd/ipc/client.js');
  const client = await connect({ socket });
  const run = async (total, window) => {
    let sent = 0;
    const started = performance.now();
    const worker = async () => {
      while (sent < total) {
        sent++;
        await client.ping();
      }
    };
    await Promise.all(Array.from({ length: window }, worker));
    return total / ((performance.now() - started) / 1000);
  };
  await run(ROUND_TRIPS / 10, 1);
  const rates = [await run(ROUND_TRIPS, 1), await run(PIPELINED, WINDOW)];
  client.close();
  return rates;
}

/** The limit: the least that any server of lines has to do. */
async function serveEcho(path) {
  const { mkdirSync } = await import('node:fs');
  const { dirname } = await import('node:path');
  mkdirSync(dirname(path));
  const server = createServer((socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) socket.write(`${line}\n`);
    });
    socket.on('error', () => {});
  });
  server.listen(path);
  await once(server, 'listening');
}

const quiet = () => {};

async function serveRpc(path) {
  const { RpcServer } = await import('#aiwgd/ipc/rpc-server.js');
  const { systemClock } = await import('#aiwgd/platform/clock.js');
  const server = new RpcServer({
    address: path,
    handlers: { ping: () => ({ pong: true, pid: process.pid, version: '0' }) },
    events: { subscribe: () => ({ close: quiet }) },
    output: { read: quiet, attempt: quiet },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    clock: systemClock,
    version: '0',
  });
  await server.listen();
}

if (process.argv[1] === file) {
  const [kind, path] = process.argv.slice(2);
  if (kind === undefined) {
    for (const row of await ipc()) console.log(row, (row.ours / row.limit).toFixed(2));
  } else {
    await (kind === 'echo' ? serveEcho(path) : serveRpc(path));
    process.send('ready');
  }
}
