// Makes the reference pages from the built program; with --check it only says which are stale and exits 1.
import { readFileSync, writeFileSync } from 'node:fs';
import { configurationPage } from './pages/configuration-page.mjs';
import { errorsPage } from './pages/errors-page.mjs';
import { rpcPage } from './pages/rpc-page.mjs';

const dist = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);

/** Every generated file; `make` gives its whole text. */
const PAGES = [
  {
    file: 'docs/reference/configuration.md',
    make: async () => configurationPage((await dist('protocol/config/json-schema.js')).configJsonSchema()),
  },
  {
    file: 'docs/reference/daemon.schema.json',
    make: async () =>
      `${JSON.stringify((await dist('protocol/config/json-schema.js')).configJsonSchema(), null, 2)}\n`,
  },
  {
    file: 'docs/reference/rpc.md',
    make: async () =>
      rpcPage(
        (await dist('protocol/methods.js')).METHODS,
        (await dist('protocol/json-schema.js')).jsonSchemaOf,
      ),
  },
  {
    file: 'docs/reference/openrpc.json',
    make: async () => {
      const { openRpcDocument } = await dist('ipc/openrpc.js');
      return `${JSON.stringify(openRpcDocument((await dist('protocol/version.js')).VERSION), null, 2)}\n`;
    },
  },
  { file: 'docs/reference/cli.md', make: async () => (await dist('cli/reference.js')).cliReference() },
  {
    file: 'docs/reference/errors.md',
    make: async () => errorsPage((await dist('protocol/errors.js')).ERROR_CATALOGUE),
  },
];

const root = new URL('../../', import.meta.url);

function currentText(file) {
  try {
    return readFileSync(new URL(file, root), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Names of the files whose text is not what it would be made today. */
async function stalePages() {
  const stale = [];
  for (const { file, make } of PAGES) {
    const text = await make();
    if (currentText(file) !== text) stale.push({ file, text });
  }
  return stale;
}

const stale = await stalePages();
if (process.argv.includes('--check')) {
  for (const { file } of stale) process.stderr.write(`${file} is stale: run npm run build && npm run docs\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const { file, text } of stale) {
    writeFileSync(new URL(file, root), text);
    process.stdout.write(`${file}\n`);
  }
}
