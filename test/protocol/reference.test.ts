import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configJsonSchema } from '#aiwgd/protocol/config/json-schema.js';
import { AiwgdError, ERROR_CATALOGUE, type ErrorCode, errorCodeOfRpc } from '#aiwgd/protocol/errors.js';
import { METHODS } from '#aiwgd/protocol/methods.js';

const root = new URL('../../', import.meta.url);
const page = (name: string): string => readFileSync(new URL(`docs/reference/${name}`, root), 'utf8');

it('is current', () => {
  // Exits 1, and vitest shows the names of the stale pages, when a page is not what the code makes of it.
  execFileSync(process.execPath, [fileURLToPath(new URL('tools/dev/generate-docs.mjs', root)), '--check'], {
    stdio: 'pipe',
  });
});

describe('the catalogue of errors', () => {
  const entries = Object.entries(ERROR_CATALOGUE) as [ErrorCode, (typeof ERROR_CATALOGUE)[ErrorCode]][];

  it('has each JSON-RPC code once, all of them in the ranges of the specification', () => {
    const numbers = entries.flatMap(([, { rpc }]) => (rpc === null ? [] : [rpc]));
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) {
      expect(
        [-32700, -32600, -32601, -32602, -32603].includes(number) || (number <= -32000 && number >= -32099),
      ).toBe(true);
    }
  });

  it('agrees with the class and with the page', () => {
    const rows = [...page('errors.md').matchAll(/^\| `([A-Z_]+)` \| (\d) \| (–|-\d+) \| (.+) \|$/gm)];
    expect(
      rows.map(([, code, exit, rpc, meaning]) => [
        code,
        Number(exit),
        rpc === '–' ? null : Number(rpc),
        meaning,
      ]),
    ).toEqual(entries.map(([code, { exit, rpc, meaning }]) => [code, exit, rpc, meaning]));
    for (const [code, { exit, rpc }] of entries) {
      const error = new AiwgdError(code, 'x');
      expect([error.exitCode, error.rpcCode]).toEqual([exit, rpc ?? -32603]);
      if (rpc !== null) expect(errorCodeOfRpc(rpc)).toBe(code);
      expect([1, 2, 3, 4]).toContain(exit);
    }
  });
});

it('names every method', () => {
  for (const name of Object.keys(METHODS)) expect(page('rpc.md')).toContain(`\n## ${name}\n`);
});

interface Schema {
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  description?: string;
  pattern?: string;
  $ref?: string;
  $defs?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  default?: unknown;
}

describe('the JSON Schema', () => {
  const schema = configJsonSchema() as Schema;

  it('describes every key, and is strict everywhere but in payloads', () => {
    const seen: string[] = [];
    const walk = (part: Schema, path: string): void => {
      if (part.properties) expect(part.additionalProperties, path).toBe(false);
      // As editors compile them.
      if (part.pattern !== undefined) expect(() => new RegExp(part.pattern ?? '', 'u'), path).not.toThrow();
      for (const [key, child] of Object.entries(part.properties ?? {})) {
        expect(child.description, `${path}.${key}`).toBeTruthy();
        seen.push(`${path}.${key}`);
        walk(child, `${path}.${key}`);
      }
      const inner = [part.items, part.additionalProperties, ...(part.anyOf ?? []), ...(part.oneOf ?? [])];
      for (const child of inner) if (typeof child === 'object') walk(child, path);
      for (const [name, child] of Object.entries(part.$defs ?? {})) walk(child, name);
    };
    walk(schema, '');
    expect(seen).toEqual(
      expect.arrayContaining([
        '.$schema',
        '.daemon.log.max_size_mb',
        '.watch.paths.path',
        'Condition.interval_ms',
      ]),
    );
    expect(seen.length).toBeGreaterThan(120);
  });

  it('takes both shapes and names the defaults', () => {
    expect(schema.properties).toMatchObject({
      watch: { properties: { paths: { items: { anyOf: [{ type: 'string' }, { type: 'object' }] } } } },
      daemon: { properties: { heartbeat_interval_seconds: { default: 30 } } },
      schedule: { properties: { jobs: { items: { properties: { id: {}, name: {} } } } } },
      rules: {
        default: [],
        items: { properties: { trigger: {}, triggers: {}, cooldownMs: {}, requiresApproval: {} } },
      },
    });
  });
});
