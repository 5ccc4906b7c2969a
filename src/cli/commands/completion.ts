import { AiwgdError } from '../../protocol/errors.js';
import { completionScript, isShell, SHELLS } from '../completion.js';
import type { Context } from '../context.js';

export async function run({ args, output }: Context): Promise<number | undefined> {
  const [shell = ''] = args;
  if (!isShell(shell)) {
    throw new AiwgdError(
      'USAGE',
      `There is no completion for "${shell}"; there is one for ${SHELLS.join(', ')}.`,
    );
  }
  const script = completionScript(shell);
  if (output.json) output.document({ shell, script });
  else output.write(script);
  return 0;
}
