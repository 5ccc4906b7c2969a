import { branchesOf, expectedKind, expectedValues, knownKeys } from '../issue-text.js';
import { nearest } from '../nearest.js';
import type { Issue } from '../schema.js';
import type { Finding } from './document.js';
import { type ConfigPath, MOST_PROBLEMS } from './problems.js';

/** Turns the schema's issues into findings that say in plain words what is wrong and what would be right. */
export function explainIssues(issues: readonly Issue[]): Finding[] {
  const findings: Finding[] = [];
  // Of one value only the first fault is told: what does not begin with a letter may be too long as well.
  const told = new Set<string>();
  for (const issue of issues) {
    for (const finding of explain(issue, [])) {
      const place = JSON.stringify(finding.path);
      if (told.has(place)) continue;
      told.add(place);
      findings.push(finding);
      if (findings.length === MOST_PROBLEMS) return findings;
    }
  }
  return findings;
}

function explain(issue: Issue, base: ConfigPath): Finding[] {
  const places = issue.path ?? [];
  const path = [...base, ...places.map(({ key }) => key as string | number)];
  const known = knownKeys(issue);
  if (known !== undefined) {
    return [{ path, message: issue.message, remedy: keyRemedy(String(path.at(-1)), known), atKey: true }];
  }
  if (places.at(-1)?.origin === 'key') return [{ path, message: `the name ${issue.message}`, atKey: true }];
  const branches = branchesOf(issue);
  const meant = branches && meantBranch(branches);
  if (meant !== undefined) return meant.flatMap((inner) => explain(inner, path));
  return [{ path, message: issue.message, ...valueRemedy(issue) }];
}

function keyRemedy(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`;
}

function valueRemedy(issue: Issue): { remedy?: string } {
  if (typeof issue.input !== 'string') return {};
  const known = expectedValues(issue)?.filter((one) => typeof one === 'string') ?? [];
  const near = nearest(issue.input, known);
  return near === undefined ? {} : { remedy: `did you mean "${near}"?` };
}

const WRONG_TYPE = 1_000_000;
const WRONG_KIND = 10_000;

/** The branch of a choice that the value was meant for: of the right type, with the fewest faults. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const ranked = branches.map((branch) => ({ branch, rank: misfit(branch) }));
  const best = ranked.reduce((a, b) => (b.rank < a.rank ? b : a));
  return best.rank < WRONG_TYPE ? best.branch : undefined;
}

/** How little a branch fits: a wrong type most of all, then a wrong `type`, then the number of faults. */
function misfit(branch: readonly Issue[]): number {
  let sum = 0;
  for (const issue of branch) {
    const branches = branchesOf(issue);
    if (issue.path !== undefined) sum += isKind(issue) ? WRONG_KIND : 1;
    else if (branches !== undefined) sum += Math.min(...branches.map(misfit));
    else sum += issue.kind === 'schema' && expectedKind(issue) !== undefined ? WRONG_TYPE : 1;
  }
  return sum;
}

function isKind({ path }: Issue): boolean {
  return path?.length === 1 && path[0].key === 'type' && path[0].origin === 'value';
}

/** The part of a value at a path; undefined where it has none. */
export function valueAt(value: unknown, path: ConfigPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}
