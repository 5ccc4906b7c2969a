import { type Client, connect } from '../ipc/client.js';
import type { Context } from './context.js';
import { requireProject } from './project.js';

/** Connects to the project's daemon for as long as `work` runs. Throws DAEMON_NOT_RUNNING where there is none. */
export async function withClient<T>(
  context: Context,
  work: (client: Client) => Promise<T>,
  options: { reconnect?: boolean } = {},
): Promise<T> {
  const paths = requireProject(context.options);
  const client = await connect({ project: paths.root, reconnect: options.reconnect ?? false });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
