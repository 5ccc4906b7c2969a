import type { Context } from '../context.js';

export async function run(_: Context): Promise<number | undefined> {
  return 0;
}
