import { METHODS } from '../../protocol/methods.js';
import { causeOf } from '../cause.js';
import type { Context } from '../context.js';
import { configFileInForce } from '../lifecycle/config-in-force.js';
import { clientConfig } from '../mcp/client-config.js';
import { Scope } from '../mcp/scope.js';
import { TOOLS } from '../mcp/tools.js';
import { requireProject } from '../project.js';
import { readProjectConfig } from '../read-project-config.js';

export async function run({ options, output, clock }: Context): Promise<number | undefined> {
  const paths = requireProject(options);
  const { allow: only, readOnly = false, printConfig = false } = options;
  const inForce = configFileInForce(paths);
  const { config } = readProjectConfig({ args: inForce === undefined ? [] : [inForce], options });
  const scope = new Scope({
    allow: config.mcp.allow,
    tools: TOOLS,
    methods: Object.keys(METHODS),
    only,
    readOnly,
  });
  if (printConfig) {
    output.document(clientConfig(paths.root, only, readOnly));
    return 0;
  }
  const log = (text: string): void => output.problem(`aiwgd mcp: ${text}`);
  if (process.stdin.isTTY) {
    log('this speaks MCP with a program, not with people. A client is set up with: aiwgd mcp --print-config');
  }
  log(`${scope.tools.length} of ${TOOLS.length} tools for ${paths.root}`);
  // Loaded here: the SDK is large, and only this needs it.
  const { serveMcp } = await import('../mcp/serve.js');
  const { stdin, stdout } = process;
  await serveMcp({
    paths,
    scope,
    clock,
    cause: causeOf(options, process.env),
    input: stdin,
    output: stdout,
    log,
  });
  return 0;
}
