import type { ConfigProblem } from '../../protocol/config/problems.js';
import { parseConfig, readConfigFile } from '../../protocol/config/read-config.js';
import { messageOf } from '../../protocol/errors.js';
import type { CheckResult, DoctorContext } from './check.js';

const name = 'configuration';

/** Whether the file, as it is now, would be taken by a reload. */
export function checkConfig({ configFile }: DoctorContext): CheckResult[] {
  let text: string | undefined;
  try {
    text = readConfigFile(configFile);
  } catch (error) {
    return [{ name, status: 'failed', detail: messageOf(error) }];
  }
  if (text === undefined) {
    const remedy = 'The next start writes one with the defaults.';
    return [{ name, status: 'warning', detail: `${configFile} is gone`, remedy }];
  }
  const parsed = parseConfig(text, configFile);
  const problems = parsed.ok ? parsed.warnings : parsed.problems;
  const [first] = problems;
  if (first === undefined) return [{ name, status: 'ok', detail: `${configFile} is valid` }];
  const remedy = 'To see all of it: aiwgd config validate';
  const detail = `${configFile}: ${problemText(first)}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''}`;
  return [{ name, status: parsed.ok ? 'warning' : 'failed', detail, remedy }];
}

function problemText({ line, path, message }: ConfigProblem): string {
  return `line ${line}: ${path === '' ? '' : `${path} `}${message}`;
}
