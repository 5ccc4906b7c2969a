import type { Client } from '../../ipc/client.js';
import type { OutputStream } from '../../protocol/method-types.js';
import type { Context } from '../context.js';
import { whileDaemonLives } from '../following/away-watch.js';
import { visibleText } from '../output/text.js';
import { requireProject } from '../project.js';
import { idArgument } from '../stdin.js';
import { withClient } from '../with-client.js';

const PULL_BYTES = 262_144;

interface Wanted {
  taskId: string;
  stream: OutputStream;
  attempt: number | undefined;
}

/** What there is of one attempt. */
async function printNow(
  client: Client,
  { taskId, stream, attempt }: Wanted,
  print: (data: string) => Promise<void>,
): Promise<void> {
  for (let offset = 0; ; ) {
    const { data, nextOffset, eof } = await client.call('task.output', {
      taskId,
      stream,
      offset,
      limit: PULL_BYTES,
      ...(attempt === undefined ? {} : { attempt }),
    });
    if (data !== '') await print(data);
    if (eof || nextOffset === offset) return;
    offset = nextOffset;
  }
}

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const stream = options.stderr ? 'stderr' : 'stdout';
  const wanted: Wanted = { taskId: idArgument(context.args), stream, attempt: options.attempt };
  // Verbatim for programs; a terminal gets nothing that it would act upon.
  const print = (data: string): Promise<void> => {
    if (output.json) return output.stream(`${JSON.stringify({ stream, data })}\n`);
    return output.stream(output.terminal ? visibleText(data) : data);
  };
  // An attempt that is named has its end; only the newest may go on.
  const follow = options.follow === true && options.attempt === undefined;
  await withClient(
    context,
    async (client) => {
      if (!follow) return printNow(client, wanted, print);
      return whileDaemonLives(requireProject(options), clock, async (signal) => {
        for await (const chunk of client.output(wanted.taskId, { signal })) {
          if (chunk.stream === stream) await print(chunk.data);
        }
      });
    },
    { reconnect: follow },
  );
  return 0;
}
