import { Option } from '../commander.js';
import type { Branch } from './leaf.js';

/** The server for clients of the Model Context Protocol. */
export const branch: Branch = (program, add) => {
  add(program, {
    name: 'mcp',
    summary: 'Serve an MCP client, such as Claude Code, on stdin and stdout',
    details:
      'Its tools submit, follow and cancel tasks, list gates, read events. Which, is said by mcp.allow in the configuration as it is when the command starts. The daemon may be down at that time. Ends when the client closes stdin.',
    options: [
      new Option('--allow <methods...>', 'only these RPC methods of mcp.allow'),
      new Option('--read-only', 'only tools that change nothing'),
      new Option('--print-config', 'print the entry for the configuration of a client, and serve nothing'),
    ],
    examples: [
      ['aiwgd mcp --print-config > mcp.json', 'then: claude --mcp-config mcp.json'],
      ['aiwgd mcp --read-only', 'what a client runs, here without submit and cancel'],
    ],
    load: () => import('../commands/mcp.js'),
  });
};
