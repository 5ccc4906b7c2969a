import { expect, it } from 'vitest';
import { openRpcDocument } from '#aiwgd/ipc/openrpc.js';
import { METHODS } from '#aiwgd/protocol/methods.js';
import { type Message, RawClient, request, startServer } from './fixtures.js';

it('describes every method', () => {
  const document = openRpcDocument('1.2.3') as Message;
  expect(document).toMatchObject({ openrpc: expect.stringMatching(/^1\./), info: { version: '1.2.3' } });
  expect(document.methods.map(({ name }: Message) => name)).toEqual(Object.keys(METHODS));
  const submit = document.methods.find(({ name }: Message) => name === 'task.submit');
  expect(submit.params.filter(({ required }: Message) => required).map(({ name }: Message) => name)).toEqual([
    'prompt',
  ]);
  expect(submit.result.schema.properties.taskId).toEqual({ type: 'string' });
  expect(document.components.errors.NOT_FOUND.code).toBe(-32001);
});

it('is answered by rpc.discover', async () => {
  const { path } = await startServer();
  const client = await RawClient.connect(path);
  const { result } = await client.ask(request(1, 'rpc.discover'));
  expect(result).toEqual(JSON.parse(JSON.stringify(openRpcDocument('1.2.3'))));
});
