import { fileURLToPath } from 'node:url';

/** The command line of this program, with absolute paths: a client may start it anywhere, with any PATH. */
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

/** What MCP clients read to start this server (`claude --mcp-config`, `.mcp.json`). */
export interface ClientConfig {
  mcpServers: { aiwgd: { type: 'stdio'; command: string; args: string[] } };
}

/** The entry for a client, for the project in `root` with the same narrowing. */
export function clientConfig(
  root: string,
  only: readonly string[] | undefined,
  readOnly: boolean,
): ClientConfig {
  const args = [MAIN, 'mcp', '--project', root];
  if (readOnly) args.push('--read-only');
  if (only !== undefined) args.push('--allow', ...only);
  return { mcpServers: { aiwgd: { type: 'stdio', command: process.execPath, args } } };
}
