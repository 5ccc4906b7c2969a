import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { WatchConfig, WatchedPath } from '../../protocol/config/config-schema.js';
import { isWithin, within } from './byte-path.js';
import type { FileChange } from './file-entry.js';
import { findRepository } from './git-folder.js';
import { escapeGlob, IgnoreRules, rulesUnder } from './ignore-rules.js';

/** What nobody wants to hear of: what packages bring, git's own files, and what the daemon writes itself. */
const ALWAYS_IGNORED = ['node_modules', '.git'];
const ALWAYS_IGNORED_AT_ROOT = [
  '/.aiwg/working',
  '/.aiwg/daemon',
  '/.aiwg/daemon.pid',
  '/.aiwg/daemon.pid.tmp',
  '/.aiwg/daemon.json.tmp',
];

/** One of `watch.paths`. */
export interface ViewedPath {
  /** Relative to the project, without slashes at the ends; empty for the project itself. */
  path: string;
  /** All that decides which files come into view; two equal ones show the same files. */
  fingerprint: string;
  shows(file: string): boolean;
  enters(folder: string): boolean;
  events: ReadonlySet<FileChange>;
}

/** What of the project is watched, by configuration. What `.gitignore` files say is in the places. */
export class WatchView {
  readonly paths: readonly ViewedPath[];
  /** The project within the repository, ending with a slash, or empty: rules speak of paths from the repository's top. */
  readonly prefix: string;
  readonly respectsGitignore: boolean;
  readonly fixed: IgnoreRules;
  /** What git ignores above the project, and by `.git/info/exclude`. */
  readonly outerRules: IgnoreRules;

  constructor(root: string, config: WatchConfig) {
    const repository = findRepository(root);
    const prefix = repository?.prefix ?? '';
    this.prefix = prefix === '' ? '' : `${prefix}/`;
    this.respectsGitignore = config.respect_gitignore;
    const outer = repository === undefined || !config.respect_gitignore ? [] : outerIgnoreLines(repository);
    this.outerRules = IgnoreRules.of(outer);
    const own = [...rulesUnder(prefix, config.ignore), ...ALWAYS_IGNORED];
    this.fixed = IgnoreRules.of([...own, ...rulesUnder(prefix, ALWAYS_IGNORED_AT_ROOT)]);
    const shared = JSON.stringify([config.ignore, config.respect_gitignore, outer]);
    const paths = config.paths.map((path) => viewedPath(path, shared));
    // A path that is named twice shows what either of them shows.
    this.paths = paths.map((path) => ({
      ...path,
      fingerprint: paths.flatMap((other) => (other.path === path.path ? other.fingerprint : [])).join('\n'),
    }));
  }

  /** Whether somebody wants to hear of this change. */
  reports(file: string, change: FileChange): boolean {
    return this.paths.some((path) => path.events.has(change) && path.shows(file));
  }

  /** The names in `folder` that lead to watched paths, where nothing else in it is in view; else undefined. */
  leadingNames(folder: string): string[] | undefined {
    if (this.paths.some((path) => path.enters(folder))) return undefined;
    return [...namesTowards(this, folder)];
  }

  /** Whether `path` is one of the watched paths, or leads to one: then no `.gitignore` keeps it out. */
  isNamed(path: string): boolean {
    return this.paths.some((viewed) => isWithin(viewed.path, path));
  }
}

function viewedPath(config: WatchedPath, shared: string): ViewedPath {
  const normal = posix.normalize(config.path).replace(/^\/+|\/+$/g, '');
  const path = normal === '.' ? '' : normal;
  const { extensions, events } = config;
  const ignored = config.ignore.length === 0 ? undefined : IgnoreRules.of(rulesUnder(path, config.ignore));
  const covers = (at: string): boolean => isWithin(at, path);
  return {
    path,
    fingerprint: JSON.stringify([config.ignore, extensions, shared]),
    events: new Set(events),
    enters: (folder) => covers(folder) && (folder === path || ignored?.ignores(`${folder}/`) !== true),
    shows: (file) =>
      covers(file) &&
      (extensions.length === 0 || extensions.some((extension) => file.endsWith(extension))) &&
      ignored?.ignores(file) !== true,
  };
}

function outerIgnoreLines({
  top,
  folder,
  prefix,
}: {
  top: string;
  folder: string;
  prefix: string;
}): string[] {
  const lines = rulesUnder('', [readIgnoreFile(join(folder, 'info', 'exclude')) ?? '']);
  let above = '';
  for (const name of prefix === '' ? [] : prefix.split('/')) {
    lines.push(...rulesUnder(above, [readIgnoreFile(join(top, above, '.gitignore')) ?? '']));
    above = within(above, name);
  }
  return lines;
}

/** Undefined where there is none that can be read: git passes over such too. */
export function readIgnoreFile(path: string | Buffer): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** One folder as the view sees it: what in it counts. Immutable; an equal one is the same object. */
export class Place {
  readonly path: string;
  readonly view: WatchView;
  /** The text of the `.gitignore` in this folder. */
  readonly ownIgnoreText: string | undefined;
  /** The paths that are watched within here or below; empty where the folder only leads to one. */
  readonly #entered: readonly ViewedPath[];
  /** Names in this folder that lead to watched paths or are such. */
  readonly named: ReadonlySet<string>;
  readonly #gitRules: IgnoreRules;
  readonly #rules: IgnoreRules;
  readonly #outer: Place | undefined;

  private constructor(
    view: WatchView,
    outer: Place | undefined,
    path: string,
    ignoreText: string | undefined,
  ) {
    this.view = view;
    this.path = path;
    this.#outer = outer;
    this.ownIgnoreText = ignoreText;
    this.#entered = view.paths.filter((viewed) => viewed.enters(path));
    this.named = namesTowards(view, path);
    const inherited = outer === undefined ? view.outerRules : outer.#rulesWithin(path);
    if (ignoreText === undefined || !view.respectsGitignore) {
      this.#gitRules = inherited;
    } else {
      const own = rulesUnder((view.prefix + path).replace(/\/$/, ''), [ignoreText]);
      this.#gitRules = inherited.with(IgnoreRules.of(own));
    }
    const asOuter = outer !== undefined && this.#gitRules === outer.#gitRules;
    this.#rules = asOuter ? outer.#rules : this.#gitRules.with(view.fixed);
  }

  /** The project's own folder. `last` is what was known of it. */
  static root(view: WatchView, ignoreText: string | undefined, last: Place | undefined): Place {
    if (last?.view === view && last.ownIgnoreText === ignoreText) return last;
    return new Place(view, undefined, '', ignoreText);
  }

  /** A folder in this one. */
  inner(name: string, ignoreText: string | undefined, last: Place | undefined): Place {
    if (last !== undefined && last.#outer === this && last.ownIgnoreText === ignoreText) return last;
    return new Place(this.view, this, within(this.path, name), ignoreText);
  }

  /** Whether the folder only leads to a watched path, so that most of what is in it does not count. */
  get onlyLeads(): boolean {
    return this.#entered.length === 0;
  }

  /** False where nothing of that name can count; cheap. */
  mayShow(name: string): boolean {
    return !this.onlyLeads || this.named.has(name);
  }

  /** Whether a file of that name counts. */
  showsFile(name: string): boolean {
    if (!this.mayShow(name)) return false;
    const path = within(this.path, name);
    if (!this.view.paths.some((viewed) => viewed.shows(path))) return false;
    return !this.#ignores(path, '');
  }

  /** Whether a folder of that name is watched. */
  entersFolder(name: string): boolean {
    if (!this.mayShow(name)) return false;
    const path = within(this.path, name);
    const wanted = this.named.has(name) || this.#entered.some((viewed) => viewed.enters(path));
    return wanted && !this.#ignores(path, '/');
  }

  #ignores(path: string, end: '' | '/'): boolean {
    const full = this.view.prefix + path + end;
    return this.view.isNamed(path) ? this.view.fixed.ignores(full) : this.#rules.ignores(full);
  }

  /** git's rules within `path`; a folder that is named in `watch.paths` is not ignored for itself, nor on the way to it. */
  #rulesWithin(path: string): IgnoreRules {
    const full = this.view.prefix + path;
    if (!this.view.isNamed(path) || !this.#gitRules.ignores(`${full}/`)) return this.#gitRules;
    const itself = `/${escapeGlob(full)}/`;
    const only = this.view.paths.some((viewed) => viewed.path === path) ? [] : [`${itself}*`];
    return this.#gitRules.with(IgnoreRules.of([`!${itself}`, ...only]));
  }
}

function namesTowards(view: WatchView, path: string): ReadonlySet<string> {
  const start = path === '' ? 0 : path.length + 1;
  const names = view.paths
    .filter((viewed) => viewed.path !== path && isWithin(viewed.path, path))
    .map((viewed) => viewed.path.slice(start).split('/')[0] ?? '');
  return new Set(names);
}
