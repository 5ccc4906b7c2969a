import { Cron } from 'croner';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronNeverFires, cronProblem } from '#aiwgd/protocol/config/cron-expression.js';
import { CRON_NICKNAMES } from '#aiwgd/protocol/config/cron-fields.js';

describe('cron expressions', () => {
  it.each([
    '* * * * *',
    '0 */6 * * *',
    '0-30/5,45 8-17 1,15 jan-mar mon-fri',
    '0 0 * * 7',
    '0 0 * * 0-7',
    '0 0 13 * FRI',
    '59 23 31 12 6',
    '  0   0 * * *  ',
    '0 0 31 2 *',
    ...Object.keys(CRON_NICKNAMES),
    '@Daily',
  ])('%j is right', (expression) => {
    expect(cronProblem(expression)).toBeUndefined();
  });

  it.each([
    ['', /must not be empty/],
    ['5', /has 1 field/],
    ['* * * *', /has 4 fields/],
    ['0 0 0 * * *', /has 6 fields/],
    ['60 * * * *', /minutes go from 0 to 59; 60 is outside/],
    ['0 24 * * *', /hours go from 0 to 23/],
    ['0 0 0 * *', /days of the month go from 1 to 31/],
    ['0 0 * 13 *', /months go from 1 to 12/],
    ['0 0 * * 8', /days of the week go from 0 to 7/],
    ['0 0 * * fry', /unknown name "fry"/],
    ['mon * * * *', /minutes are numbers/],
    ['*/0 * * * *', /step/],
    ['5-1 * * * *', /larger/],
    ['1,,2 * * * *', /./],
    ['1- * * * *', /./],
    ['$(x) * * * *', /is not a list, range or step/],
    ['2026-01-01T00:00:00', /has 1 field/],
    ['@reboot', /unknown short form/],
    ['@', /unknown short form/],
    [`${'1,'.repeat(400)}1 * * * *`, /longer/],
  ])('%.30j is refused', (expression, message) => {
    expect(cronProblem(expression)).toMatch(message);
  });

  it('tells an expression that never fires', () => {
    expect(cronNeverFires('0 0 30 2 *')).toBe(true);
    expect(cronNeverFires('0 0 31 4,6,9,11 *')).toBe(true);
    expect(cronNeverFires('0 0 29 2 *')).toBe(false);
    expect(cronNeverFires('@daily')).toBe(false);
  });

  it('takes nothing that the parser would refuse', () => {
    const part = fc.oneof(
      fc.constantFrom('*', '0', '1', '7', '00', '07', '12', '23', '31', '59', '1,2', '5,3,5'),
      fc.nat({ max: 62 }).map((step) => `*/${step}`),
      fc.stringMatching(/^[0-9*,/-]{1,5}$/),
    );
    fc.assert(
      fc.property(fc.tuple(part, part, part, part, part), (fields) => {
        const expression = fields.join(' ');
        if (cronProblem(expression) !== undefined) return;
        expect(() => new Cron(expression, { mode: '5-part', paused: true }), expression).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });
});
