// What tsc leaves undone: the command has to be executable.
import { chmodSync } from 'node:fs';

chmodSync(new URL('../../dist/cli/main.js', import.meta.url), 0o755);
