/**
 * What cron expressions mean, from the text of the Open Cron Pattern Specification ("OCPS", 1.0 to 1.4, what applies to
 * five fields) and of Debian's crontab(5) and cron(8) ("Debian"). Where they differ, Debian counts, and the case says so.
 */
export interface CronCase {
  cron: string;
  timezone: string;
  /** The slots after this moment are asked for. */
  from: string;
  /** The first slots, in UTC; none where it never fires. */
  next: string[];
  why: string;
}

/** Expression, time zone, moment, the first slots after it, and what the case is about. */
const TABLE = String.raw`
# Values, lists, ranges and steps
* * * * * | UTC | 2026-01-31T23:58Z | 2026-01-31T23:59Z 2026-02-01T00:00Z 2026-02-01T00:01Z | a star is first to last
0 12 * * * | UTC | 2026-05-05T12:00Z | 2026-05-06T12:00Z | the moment itself is not after itself
* * * * * | UTC | 2026-05-05T12:00:30.500Z | 2026-05-05T12:01Z | a moment within a minute
5,35 * * * * | UTC | 2026-05-05T12:06Z | 2026-05-05T12:35Z 2026-05-05T13:05Z | a list
35,5,35 * * * * | UTC | 2026-05-05T12:06Z | 2026-05-05T12:35Z 2026-05-05T13:05Z | a list in any order, with repeats
0 8-11 * * * | UTC | 2026-05-05T07:30Z | 2026-05-05T08:00Z 2026-05-05T09:00Z 2026-05-05T10:00Z 2026-05-05T11:00Z 2026-05-06T08:00Z | a range includes both ends
0 8-8 * * * | UTC | 2026-05-05T07:30Z | 2026-05-05T08:00Z 2026-05-06T08:00Z | a range of one
0 0-1,22-23 * * * | UTC | 2026-05-05T00:30Z | 2026-05-05T01:00Z 2026-05-05T22:00Z 2026-05-05T23:00Z 2026-05-06T00:00Z | a list of ranges (Debian: 0-4,8-12)
1-3,2-4 0 * * * | UTC | 2026-05-05T00:00Z | 2026-05-05T00:01Z 2026-05-05T00:02Z 2026-05-05T00:03Z 2026-05-05T00:04Z 2026-05-06T00:01Z | ranges that overlap fire once
*/25 * * * * | UTC | 2026-05-05T12:00Z | 2026-05-05T12:25Z 2026-05-05T12:50Z 2026-05-05T13:00Z | a step over a star counts from the lowest value
5-59/15 * * * * | UTC | 2026-05-05T12:00Z | 2026-05-05T12:05Z 2026-05-05T12:20Z 2026-05-05T12:35Z 2026-05-05T12:50Z 2026-05-05T13:05Z | a step over a range counts from its first (OCPS)
23 0-23/2 * * * | UTC | 2026-05-05T21:00Z | 2026-05-05T22:23Z 2026-05-06T00:23Z 2026-05-06T02:23Z | a step over a range of hours (Debian)
0 1-9/2 * * * | UTC | 2026-05-05T00:00Z | 2026-05-05T01:00Z 2026-05-05T03:00Z 2026-05-05T05:00Z 2026-05-05T07:00Z 2026-05-05T09:00Z 2026-05-06T01:00Z | 1-9/2 is 1,3,5,7,9 (Debian)
1-5/7 * * * * | UTC | 2026-05-05T12:00Z | 2026-05-05T12:01Z 2026-05-05T13:01Z | a step longer than its range leaves the first
58-59/1 * * * * | UTC | 2026-05-05T12:00Z | 2026-05-05T12:58Z 2026-05-05T12:59Z 2026-05-05T13:58Z | a step of one is every value
0,10-12,40-50/5 * * * * | UTC | 2026-05-05T12:00Z | 2026-05-05T12:10Z 2026-05-05T12:11Z 2026-05-05T12:12Z 2026-05-05T12:40Z 2026-05-05T12:45Z 2026-05-05T12:50Z 2026-05-05T13:00Z | a list of values, ranges and steps
0 0 */10 * * | UTC | 2026-02-01T00:00Z | 2026-02-11T00:00Z 2026-02-21T00:00Z 2026-03-01T00:00Z | a step over days of the month counts from the first
0 0 1 */5 * | UTC | 2026-01-01T00:00Z | 2026-06-01T00:00Z 2026-11-01T00:00Z 2027-01-01T00:00Z | a step over months counts from January
05 08 01 02 * | UTC | 2026-01-01T00:00Z | 2026-02-01T08:05Z | leading zeros
 \t5  8\t* * *  | UTC | 2026-01-01T00:00Z | 2026-01-01T08:05Z | white space around and between, tabs too
# Names and the days of the week
0 0 1 jAn,JUL * | UTC | 2026-01-02T00:00Z | 2026-07-01T00:00Z 2027-01-01T00:00Z | names of months in any case
5 4 * * sun | UTC | 2026-11-01T05:00Z | 2026-11-08T04:05Z | a name of a day (Debian)
# The manual of Debian says that ranges and lists of names are not allowed; its program and OCPS take them.
0 22 * * Mon-FRI | UTC | 2026-11-06T00:00Z | 2026-11-06T22:00Z 2026-11-09T22:00Z | a range of names
0 0 1 feb-nov/3 * | UTC | 2026-01-01T00:00Z | 2026-02-01T00:00Z 2026-05-01T00:00Z 2026-08-01T00:00Z 2026-11-01T00:00Z 2027-02-01T00:00Z | a step over a range of names
# Debian and OCPS refuse it, as the name of Sunday is 0 there; what is meant is plain, so it is taken for 5-7.
0 0 * * fri-sun | UTC | 2026-11-01T00:00Z | 2026-11-06T00:00Z 2026-11-07T00:00Z 2026-11-08T00:00Z 2026-11-13T00:00Z | a range of names that ends with Sunday
0 0 * * 0 | UTC | 2026-11-01T00:00Z | 2026-11-08T00:00Z | 0 is Sunday
0 0 * * 7 | UTC | 2026-11-01T00:00Z | 2026-11-08T00:00Z | 7 is Sunday
0 0 * * 0,7 | UTC | 2026-11-01T00:00Z | 2026-11-08T00:00Z 2026-11-15T00:00Z | 0 and 7 together are one day
0 0 * * 6-7 | UTC | 2026-11-02T00:00Z | 2026-11-07T00:00Z 2026-11-08T00:00Z 2026-11-14T00:00Z | a range that ends with 7
0 0 * * 1-7/3 | UTC | 2026-11-01T00:00Z | 2026-11-02T00:00Z 2026-11-05T00:00Z 2026-11-08T00:00Z 2026-11-09T00:00Z | a step over a range up to 7
# Day of the month or day of the week
30 4 1,15 * 5 | UTC | 2026-11-01T05:00Z | 2026-11-06T04:30Z 2026-11-13T04:30Z 2026-11-15T04:30Z 2026-11-20T04:30Z | either day where both are restricted (Debian)
0 12 1 feb MON | UTC | 2026-01-01T00:00Z | 2026-02-01T12:00Z 2026-02-02T12:00Z 2026-02-09T12:00Z 2026-02-16T12:00Z 2026-02-23T12:00Z 2027-02-01T12:00Z | either day, and the month still counts
0 0 13 * * | UTC | 2026-11-01T00:00Z | 2026-11-13T00:00Z 2026-12-13T00:00Z | the day of the month alone
0 0 * * 5 | UTC | 2026-11-01T00:00Z | 2026-11-06T00:00Z 2026-11-13T00:00Z | the day of the week alone
# OCPS takes only a bare star for unrestricted, so these would be "or"; Debian looks at the first character of the field.
0 0 */2 * 1 | UTC | 2026-11-01T00:00Z | 2026-11-09T00:00Z 2026-11-23T00:00Z 2026-12-07T00:00Z | both days where the day of the month begins with a star
0 0 1 * */2 | UTC | 2026-11-02T00:00Z | 2026-12-01T00:00Z 2027-04-01T00:00Z | both days where the day of the week begins with a star
0 0 13-13 * */5 | UTC | 2026-01-01T00:00Z | 2026-02-13T00:00Z 2026-03-13T00:00Z 2026-09-13T00:00Z | Sunday or Friday the 13th, by the star
0 0 *,5 * 1 | UTC | 2026-11-01T00:00Z | 2026-11-02T00:00Z 2026-11-09T00:00Z | a list that begins with a star counts as one
0 0 5,* * 1 | UTC | 2026-11-01T00:00Z | 2026-11-02T00:00Z 2026-11-03T00:00Z | a list in which a star comes later does not
0 0 1 * 0-7 | UTC | 2026-11-01T00:00Z | 2026-11-02T00:00Z 2026-11-03T00:00Z | a week of numbers is restricted, though it holds every day
# Short forms
@yearly | UTC | 2026-01-01T00:00Z | 2027-01-01T00:00Z | @yearly
@annually | UTC | 2026-01-01T00:00Z | 2027-01-01T00:00Z | @annually
@monthly | UTC | 2026-01-01T00:00Z | 2026-02-01T00:00Z | @monthly
@weekly | UTC | 2026-11-02T00:00Z | 2026-11-08T00:00Z | @weekly is Sunday
@Daily | UTC | 2026-11-02T00:00Z | 2026-11-03T00:00Z | @daily in any case
@midnight | UTC | 2026-11-02T00:00Z | 2026-11-03T00:00Z | @midnight (Debian)
@hourly | UTC | 2026-11-02T00:00Z | 2026-11-02T01:00Z | @hourly
# Months and leap years
0 0 31 * * | UTC | 2026-01-31T00:00Z | 2026-03-31T00:00Z 2026-05-31T00:00Z 2026-07-31T00:00Z 2026-08-31T00:00Z | months without a 31st are passed over
0 0 30 * * | UTC | 2026-01-30T00:00Z | 2026-03-30T00:00Z | the 30th of every month but February
0 0 29 2 * | UTC | 2026-01-01T00:00Z | 2028-02-29T00:00Z 2032-02-29T00:00Z | the 29th of February is in leap years
0 0 29 2 * | UTC | 2096-03-01T00:00Z | 2104-02-29T00:00Z | 2100 is no leap year
59 23 31 12 * | UTC | 2026-12-31T23:58Z | 2026-12-31T23:59Z 2027-12-31T23:59Z | the end of the year
0 0 31 2 * | UTC | 2026-01-01T00:00Z | never | a date that no year has (OCPS: valid, and never fires)
0 0 31 4,6,9,11 */2 | UTC | 2026-01-01T00:00Z | never | a date that no year has, and a day of the week by star
# What OCPS 1.3 and 1.4 add; Debian refuses all of it
0 0 L * * | UTC | 2026-02-01T00:00Z | 2026-02-28T00:00Z 2026-03-31T00:00Z | L is the last day of the month
0 0 * * FRI#2 | UTC | 2026-11-01T00:00Z | 2026-11-13T00:00Z 2026-12-11T00:00Z | the second Friday
0 0 * * 5#L | UTC | 2026-11-01T00:00Z | 2026-11-27T00:00Z 2026-12-25T00:00Z | the last Friday
0 12 15W * * | UTC | 2026-11-01T00:00Z | 2026-11-16T12:00Z 2026-12-15T12:00Z | the working day nearest to the 15th
0 12 1 * +MON | UTC | 2026-01-01T00:00Z | 2026-06-01T12:00Z 2027-02-01T12:00Z | a plus requires both days
0 0 ? * 1 | UTC | 2026-11-01T00:00Z | 2026-11-02T00:00Z 2026-11-09T00:00Z | ? is a star
# Time zones
0 9 * * * | Asia/Tokyo | 2026-05-05T00:00Z | 2026-05-06T00:00Z | a zone east of Greenwich
0 9 * * * | Asia/Kolkata | 2026-05-05T00:00Z | 2026-05-05T03:30Z | a zone with half an hour
0 9 * * * | Asia/Kathmandu | 2026-05-05T00:00Z | 2026-05-05T03:15Z | a zone with three quarters of an hour
0 1 * * 1 | Pacific/Auckland | 2026-06-01T00:00Z | 2026-06-07T13:00Z | the day of the week is that of the zone
0 9 * * * | Europe/Berlin | 2026-03-28T07:00Z | 2026-03-28T08:00Z 2026-03-29T07:00Z | nine in the morning in winter and summer
# The skipped hour. OCPS 1.4 recommends to pass over such slots; Debian runs fixed times right after it.
30 2 * * * | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-29T01:00Z 2026-03-30T00:30Z | a fixed time in the skipped hour runs right after it
0 2 * * * | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-29T01:00Z 2026-03-30T00:00Z | its first minute too
0-59/15 2 * * * | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-29T01:00Z 2026-03-30T00:00Z 2026-03-30T00:15Z | several skipped slots make one run
0 2-3 * * * | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-29T01:00Z 2026-03-30T00:00Z 2026-03-30T01:00Z | a slot in the skipped hour and one right after it make one run
*/30 2 * * * | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-30T00:00Z 2026-03-30T00:30Z | a star in the minutes follows the wall clock
30 */2 * * * | Europe/Berlin | 2026-03-28T23:00Z | 2026-03-28T23:30Z 2026-03-29T02:30Z | a star in the hours follows the wall clock
*/30 * * * * | Europe/Berlin | 2026-03-29T00:00Z | 2026-03-29T00:30Z 2026-03-29T01:00Z 2026-03-29T01:30Z | every half hour goes on
30 2 * * 1 | Europe/Berlin | 2026-03-28T12:00Z | 2026-03-30T00:30Z | a job of another day is not drawn in
15 2 * * * | America/New_York | 2026-03-07T12:00Z | 2026-03-08T07:00Z 2026-03-09T06:15Z | a fixed time in the skipped hour
15 2 * * * | Australia/Lord_Howe | 2026-10-02T16:00Z | 2026-10-03T15:30Z 2026-10-04T15:15Z | a fixed time in the skipped half hour
0 0 * * * | America/Havana | 2026-03-07T06:00Z | 2026-03-08T05:00Z 2026-03-09T04:00Z | the skipped hour is the first of the day
# The repeated hour
30 2 * * * | Europe/Berlin | 2026-10-24T12:00Z | 2026-10-25T00:30Z 2026-10-26T01:30Z | a fixed time in the repeated hour runs once, the first time
30 2 * * * | Europe/Berlin | 2026-10-25T00:45Z | 2026-10-26T01:30Z | asked between the two
0-59/30 2 * * * | Europe/Berlin | 2026-10-24T12:00Z | 2026-10-25T00:00Z 2026-10-25T00:30Z 2026-10-26T01:00Z | a step over a range is a fixed time (Debian)
30 0-23 * * * | Europe/Berlin | 2026-10-25T00:00Z | 2026-10-25T00:30Z 2026-10-25T02:30Z | all hours as a range are fixed times (Debian)
*/30 2 * * * | Europe/Berlin | 2026-10-24T12:00Z | 2026-10-25T00:00Z 2026-10-25T00:30Z 2026-10-25T01:00Z 2026-10-25T01:30Z 2026-10-26T01:00Z | a star in the minutes runs in both
*/30 * * * * | Europe/Berlin | 2026-10-25T00:00Z | 2026-10-25T00:30Z 2026-10-25T01:00Z 2026-10-25T01:30Z 2026-10-25T02:00Z | every half hour goes on
@hourly | Europe/Berlin | 2026-10-24T23:30Z | 2026-10-25T00:00Z 2026-10-25T01:00Z 2026-10-25T02:00Z | @hourly runs in both
30 1 * * * | America/New_York | 2026-10-31T12:00Z | 2026-11-01T05:30Z 2026-11-02T06:30Z | a fixed time in the repeated hour
45 1 * * * | Australia/Lord_Howe | 2026-04-03T16:00Z | 2026-04-04T14:45Z 2026-04-05T15:15Z | a fixed time in the repeated half hour
45 * * * * | Australia/Lord_Howe | 2026-04-04T14:00Z | 2026-04-04T14:45Z 2026-04-04T15:15Z 2026-04-04T16:15Z | a star runs in both
`;

export const CRON_CASES: CronCase[] = TABLE.trimEnd()
  .slice(1)
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .map((line) => {
    const [cron = '', timezone = '', from = '', next = '', why = ''] = line.split(' | ');
    const slots = next === 'never' ? [] : next.split(' ');
    return { cron: cron.replaceAll('\\t', '\t'), timezone, from, next: slots, why };
  });

/** Expressions that are wrong, and why. */
export const WRONG_CRON: [cron: string, why: string][] = [
  ['', 'empty'],
  ['* * * *', 'four fields'],
  ['0 0 * * * *', 'six fields: seconds are no part of five-field cron'],
  ['60 * * * *', 'a minute over 59'],
  ['* 24 * * *', 'an hour over 23'],
  ['* * 32 * *', 'a day over 31'],
  // The manual of Debian says 0-31 and 0-12; its program and OCPS begin with 1.
  ['* * 0 * *', 'a day 0'],
  ['* * * 0 *', 'a month 0'],
  ['* * * 13 *', 'a month over 12'],
  ['* * * * 8', 'a day of the week over 7'],
  ['-1 * * * *', 'a negative minute'],
  ['0-60 * * * *', 'a range that ends outside'],
  ['30-10 * * * *', 'a range that goes backwards'],
  ['0 22-2 * * *', 'a range over midnight'],
  ['0 0 * * sat-mon', 'a range of names that goes backwards'],
  ['*/0 * * * *', 'a step of 0'],
  ['1-10/0 * * * *', 'a step of 0 over a range'],
  ['*/-5 * * * *', 'a negative step'],
  ['*/ * * * *', 'a step without a number'],
  ['*/5/2 * * * *', 'a step of a step'],
  // Some implementations read it as 5-59/15, Debian takes the step for void; OCPS defines steps over ranges and stars only.
  ['5/15 * * * *', 'a step over a single number'],
  ['1,,2 * * * *', 'a list with nothing in it'],
  ['1, * * * *', 'a list with nothing at its end'],
  ['1-2-3 * * * *', 'a range with three ends'],
  ['1- * * * *', 'a range without an end'],
  ['1.5 * * * *', 'a fraction'],
  ['a * * * *', 'a letter'],
  ['** * * * *', 'two stars'],
  ['mon * * * *', 'a name where there are none'],
  ['0 0 * monday *', 'a day where a month belongs'],
  ['0 0 * * monday', 'a name with more than three letters'],
  ['0 0 * * mon5', 'a name with a digit'],
  ['? * * * *', 'OCPS 1.4: ? outside of the days'],
  ['0 0 +1 * 5', 'OCPS 1.4: + outside of the days of the week'],
  ['0 0 * * 1#6', 'a sixth Monday'],
  ['0 0 1-15W * *', 'OCPS 1.3: W with a range'],
  ['@reboot', 'Debian: once at its start, which is no time'],
  ['@every 5m', 'another dialect'],
  ['0 0 * * * root', 'a user, as in /etc/crontab'],
  ['H * * * *', 'another dialect'],
  ['0 0 * * *;rm', 'a shell'],
];
