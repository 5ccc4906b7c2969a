import { LaunchRefused } from './launcher.js';

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/gu;

/**
 * The variables of a task with each `${NAME}` replaced by the daemon's own variable of that name; what stands in for it
 * is not looked at again. Throws a `LaunchRefused` that names a variable which is not set, and shows no values.
 */
export function launchVariables(
  variables: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const resolve = (variable: string, text: string): string =>
    text.replace(REFERENCE, (_, name: string) => {
      const value = environment[name];
      if (value !== undefined) return value;
      throw new LaunchRefused(
        `The variable ${variable} of this task needs ${name}, which is not set in the daemon's environment; set it and run aiwgd restart, then retry the task`,
        'bad_arguments',
      );
    });
  return Object.fromEntries(Object.entries(variables).map(([name, text]) => [name, resolve(name, text)]));
}
