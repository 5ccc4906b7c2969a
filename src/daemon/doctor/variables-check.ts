import type { CheckResult, DoctorContext } from './check.js';

const name = 'variables';

/** Whether the variables that the configuration names are set; never what they hold. */
export function checkVariables({ config, environment }: DoctorContext): CheckResult[] {
  const { webhook, rules, ...others } = config;
  // What is off needs nothing.
  const inUse = {
    ...others,
    ...(webhook.enabled ? { webhook } : {}),
    rules: rules.filter((rule) => rule.enabled),
  };
  const named = namedIn(inUse);
  const missing = [...named].filter((variable) => (environment[variable] ?? '') === '');
  if (missing.length === 0) {
    const detail =
      named.size === 0 ? 'the configuration names none' : `all ${named.size} that are named are set`;
    return [{ name, status: 'ok', detail }];
  }
  return missing.map((variable) => ({
    name,
    status: 'failed',
    detail: `${variable} is named in the configuration, but not set in the daemon's environment`,
    remedy: `Set it where the daemon is started from, then: aiwgd restart`,
  }));
}

/** Values of keys that end in `_env`, and `${NAME}` in the `env` of actions. */
function namedIn(root: object): Set<string> {
  const names = new Set<string>();
  const open: object[] = [root];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    for (const [key, value] of Object.entries(one) as [string, unknown][]) {
      if (typeof value === 'string' && key.endsWith('_env')) names.add(value);
      if (typeof value !== 'object' || value === null) continue;
      open.push(value);
      if (key === 'env') for (const variable of referencesIn(Object.values(value))) names.add(variable);
    }
  }
  return names;
}

function referencesIn(values: readonly unknown[]): string[] {
  return values.flatMap((value) =>
    typeof value === 'string'
      ? [...value.matchAll(/\$\{([A-Za-z_]\w*)\}/gu)].map(([, found = '']) => found)
      : [],
  );
}
