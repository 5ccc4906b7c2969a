import picomatch from 'picomatch';
import type { RuleConfig } from '../../protocol/config/config-schema.js';
import type { Trigger } from '../../protocol/config/rule-schema.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { topicMatcher } from '../../protocol/topic.js';
import { firedJobOf, type ReadyTrigger, readyTrigger, triggerJobId, watchedPathOf } from './triggers.js';

/** Types of events whose listeners are remembered; beyond that the memory starts anew. */
const MAX_REMEMBERED_TYPES = 1_000;

interface Entry {
  /** Of the rule in the configuration. */
  position: number;
  trigger: ReadyTrigger;
}

interface TopicEntry extends Entry {
  listensTo: (type: string) => boolean;
}

/**
 * Finds the rules of an event without asking all of them: by the type of the event, by the folder that a file glob begins
 * with and the ending that it ends with, and by the job of a time. A few matchers run per event, not a thousand.
 */
export class RuleIndex {
  readonly #rules: readonly RuleConfig[];
  readonly #byTopic: TopicEntry[] = [];
  /** By folder, then by ending; the ending '' stands for any. */
  readonly #byFolder = new Map<string, Map<string, Entry[]>>();
  readonly #byJob = new Map<string, Entry>();
  readonly #listeners = new Map<string, Entry[]>();

  constructor(rules: readonly RuleConfig[]) {
    this.#rules = rules;
    for (const [position, rule] of rules.entries()) {
      for (const [index, trigger] of rule.triggers.entries()) {
        const ready = readyTrigger(trigger, rule.id, index);
        this.#add(trigger, { position, trigger: ready }, triggerJobId(rule.id, index));
      }
    }
  }

  /** The rules of which a trigger matches, in the order of the configuration, each once. */
  candidates(event: AiwgEvent): readonly RuleConfig[] {
    const positions: number[] = [];
    for (const { position, trigger } of this.#listenersTo(event.type)) {
      if (trigger.matches(event)) positions.push(position);
    }
    const path = watchedPathOf(event);
    if (path !== undefined) this.#addFileRules(event, path, positions);
    const job = firedJobOf(event);
    const timed = job === undefined ? undefined : this.#byJob.get(job);
    if (timed !== undefined) positions.push(timed.position);
    if (positions.length > 1) positions.sort((a, b) => a - b);
    const found: RuleConfig[] = [];
    let last = -1;
    for (const position of positions) {
      const rule = this.#rules[position];
      if (position !== last && rule !== undefined) found.push(rule);
      last = position;
    }
    return found;
  }

  #add(trigger: Trigger, entry: Entry, jobId: string): void {
    switch (trigger.type) {
      case 'file_change': {
        const { folder, ending } = placeOf(trigger.pattern);
        const byEnding = this.#byFolder.get(folder) ?? new Map<string, Entry[]>();
        byEnding.set(ending, [...(byEnding.get(ending) ?? []), entry]);
        this.#byFolder.set(folder, byEnding);
        break;
      }
      case 'event':
        this.#byTopic.push({ ...entry, listensTo: topicMatcher(trigger.topic) });
        break;
      case 'event_type':
        this.#byTopic.push({ ...entry, listensTo: (type) => type === trigger.event_type });
        break;
      case 'schedule':
        this.#byJob.set(jobId, entry);
        break;
    }
  }

  #listenersTo(type: string): Entry[] {
    let listeners = this.#listeners.get(type);
    if (listeners === undefined) {
      listeners = this.#byTopic.filter(({ listensTo }) => listensTo(type));
      if (this.#listeners.size >= MAX_REMEMBERED_TYPES) this.#listeners.clear();
      this.#listeners.set(type, listeners);
    }
    return listeners;
  }

  #addFileRules(event: AiwgEvent, path: string, positions: number[]): void {
    const ending = endingOf(path);
    const folders = ['', path];
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      folders.push(path.slice(0, slash));
    }
    for (const folder of folders) {
      const byEnding = this.#byFolder.get(folder);
      if (byEnding === undefined) continue;
      for (const entries of [byEnding.get(''), ending === '' ? undefined : byEnding.get(ending)]) {
        for (const { position, trigger } of entries ?? []) {
          if (trigger.matches(event)) positions.push(position);
        }
      }
    }
  }
}

/** Signs by which the beginning or the end of a glob need not be what it seems. */
const INTRICATE = /[!\\()[\]|"]|(^|\/)\.{0,2}\//;

/** Where in the index a glob belongs: every path that it matches is that folder or in it, and has that ending. */
function placeOf(pattern: string): { folder: string; ending: string } {
  if (INTRICATE.test(pattern)) return { folder: '', ending: '' };
  const { base } = picomatch.scan(pattern);
  return { folder: base.replace(/\/+$/, ''), ending: pattern.includes('{') ? '' : endingOf(pattern) };
}

/** The ending of a path or a glob, after the last dot of its name; '' where there is none or it is itself a glob. */
function endingOf(path: string): string {
  return /\.([A-Za-z0-9_-]+)$/.exec(path)?.[1] ?? '';
}
