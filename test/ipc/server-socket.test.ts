import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '#aiwgd/ipc/client.js';
import { socketAddress } from '#aiwgd/ipc/running-daemon.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { makeServer, RawClient, request, startServer, temporaryFolder } from './fixtures.js';

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('the socket', () => {
  it('is open to nobody else', async () => {
    const { path, server } = await startServer();
    expect(modeOf(path)).toBe(0o600);
    expect(modeOf(dirname(path))).toBe(0o700);
    expect(server.address).toBe(path);
  });

  it('lies in a folder that is closed to others even if it was open', async () => {
    const folder = join(temporaryFolder(), 'daemon');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    await startServer({}, { address: join(folder, 'daemon.sock') });
    expect(modeOf(folder)).toBe(0o700);
  });

  it('is gone after close', async () => {
    const { path, server } = await startServer();
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  it('takes over what a killed daemon left', async () => {
    const path = join(temporaryFolder(), 'daemon', 'daemon.sock');
    mkdirSync(dirname(path));
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await expect(makeServer({}, { address: path }).server.listen()).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(lstatSync(path).isSocket()).toBe(true);
    await startServer({}, { address: path });
    expect(await (await RawClient.connect(path)).ask(request(1, 'ping'))).toMatchObject({ id: 1 });
  });

  it('refuses to listen where another server does, and leaves that alone', async () => {
    const { path } = await startServer();
    const second = makeServer({}, { address: path });
    await expect(second.server.listen()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await second.server.close();
    expect(await (await RawClient.connect(path)).ask(request(1, 'ping'))).toMatchObject({ id: 1 });
  });

  it('does not remove what is no socket', async () => {
    const path = join(temporaryFolder(), 'daemon.sock');
    writeFileSync(path, 'precious');
    await expect(makeServer({}, { address: path }).server.listen()).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining(path),
    });
    expect(existsSync(path)).toBe(true);
  });

  it.runIf(process.getuid?.() === 0)('refuses a folder of another user', async () => {
    const folder = join(temporaryFolder(), 'daemon');
    mkdirSync(folder);
    const { chownSync } = await import('node:fs');
    chownSync(folder, 12345, 12345);
    await expect(makeServer({}, { address: join(folder, 's') }).server.listen()).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('another user'),
    });
  });
});

const longProject = (): string => {
  const name = `a b 'c' "d" $HOME \n \`x\` ${'ä'.repeat(90)}`;
  const root = join(temporaryFolder(), name);
  expect(Buffer.byteLength(name)).toBeGreaterThan(200);
  mkdirSync(join(root, '.aiwg'), { recursive: true });
  return root;
};

describe('a project whose path is too long for a socket', () => {
  const { XDG_RUNTIME_DIR: before } = process.env;
  let runtime: string;

  beforeEach(() => {
    runtime = temporaryFolder();
    process.env.XDG_RUNTIME_DIR = runtime;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });

  it('gets a short socket and a pointer, which clients follow', async () => {
    const project = longProject();
    const paths = projectPaths(project);
    const { server } = await startServer({}, { address: paths.socket });
    expect(server.address).toMatch(/\/aiwgd-\d+\/[0-9a-f]{16}\.sock$/);
    expect(server.address.startsWith(runtime)).toBe(true);
    expect(modeOf(dirname(server.address))).toBe(0o700);
    expect(modeOf(server.address)).toBe(0o600);
    expect(readlinkSync(paths.socket)).toBe(server.address);
    expect(socketAddress(paths)).toBe(server.address);
    const client = await connect({ project });
    expect(await client.ping()).toMatchObject({ pong: true });
    client.close();

    await expect(makeServer({}, { address: paths.socket }).server.listen()).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await server.close();
    expect(existsSync(server.address)).toBe(false);
    expect(lstatSync(paths.socket, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('sees a daemon that listens by another short path, and replaces a pointer to nothing', async () => {
    const paths = projectPaths(longProject());
    const first = await startServer({}, { address: paths.socket });
    process.env.XDG_RUNTIME_DIR = temporaryFolder();
    await expect(makeServer({}, { address: paths.socket }).server.listen()).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await first.server.close();
    symlinkSync('/nowhere/gone.sock', paths.socket);
    const second = await startServer({}, { address: paths.socket });
    expect(readlinkSync(paths.socket)).toBe(second.server.address);
  });

  it('refuses a short folder that somebody else could have laid out', async () => {
    const paths = projectPaths(longProject());
    symlinkSync(temporaryFolder(), join(runtime, `aiwgd-${process.getuid?.() ?? 0}`));
    await expect(makeServer({}, { address: paths.socket }).server.listen()).rejects.toMatchObject({
      code: 'START_FAILED',
    });
  });
});
