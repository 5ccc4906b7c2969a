#!/usr/bin/env node
// The launcher that existing scripts call: `node tools/daemon/index.mjs start` is `aiwgd start`.
import { existsSync } from 'node:fs';

const command = new URL('../../dist/cli/main.js', import.meta.url);
if (!existsSync(command)) {
  process.stderr.write(
    'aiwgd is not built yet. Run `npm start` (a demo) or `npm ci && npm run build` first.\n',
  );
  process.exit(1);
}
await import(command.href);
