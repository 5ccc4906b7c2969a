import * as v from 'valibot';
import { about, object, oneOf, type Schema, wholeNumber } from './schema.js';
import { SPEND_KEYS, type SpendParams, type SpendReport } from './spend.js';

export const spendParams: Schema<SpendParams> = object({
  by: about(v.exactOptional(oneOf(SPEND_KEYS)), '`day` where not given, in the time zone of the daemon'),
  since: about(v.exactOptional(v.pipe(v.string(), v.maxLength(64))), 'ISO time; 30 days ago where not given'),
  limit: about(v.exactOptional(wholeNumber(1, 1000)), 'Rows at most; 100 where not given'),
});

const sum = {
  costUsd: about(v.number(), 'Sum of the known costs'),
  countedUsd: about(v.number(), 'As budgets count: with what was reserved where the cost is unknown'),
  attempts: v.number(),
  unknown: about(v.number(), 'How many of the attempts have an unknown cost'),
  tokens: object({ input: v.number(), cachedInput: v.number(), output: v.number() }),
};

export const spendReport: Schema<SpendReport> = object({
  since: v.string(),
  until: v.string(),
  by: oneOf(SPEND_KEYS),
  rows: v.array(object({ key: v.nullable(v.string()), ...sum })),
  total: object(sum),
});
