const CODES = {
  bold: ['1', '22'],
  dim: ['2', '22'],
  red: ['31', '39'],
  green: ['32', '39'],
  yellow: ['33', '39'],
  blue: ['34', '39'],
  cyan: ['36', '39'],
} as const;

export type Color = keyof typeof CODES;

/** Puts a text into a colour, or returns it as it is where colours are off. */
export type Paint = (color: Color, text: string) => string;

/** Whether to use colours: `--no-color` and NO_COLOR forbid, FORCE_COLOR demands, else a terminal decides. */
export function wantsColor(
  allowed: boolean,
  environment: NodeJS.ProcessEnv,
  stream: { isTTY?: boolean | undefined },
): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = environment;
  if (!allowed || (no !== undefined && no !== '')) return false;
  if (force !== undefined) return force !== '0' && force !== 'false';
  return stream.isTTY === true && term !== 'dumb';
}

export function painter(enabled: boolean): Paint {
  if (!enabled) return (_color, text) => text;
  return (color, text) => {
    const [on, off] = CODES[color];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  };
}
