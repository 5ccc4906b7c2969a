import { readFileSync } from 'node:fs';
import type { Context } from '../context.js';

export async function run({ output }: Context): Promise<number | undefined> {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  if (output.json) {
    output.document({ version, node: process.versions.node, platform: process.platform });
  } else {
    output.line(`aiwgd ${version}`);
  }
  return 0;
}
