import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { mulberry, seedOf } from '../support/random.js';
import { until } from '../support/temp.js';
import { Watching, watchConfig } from './watching.js';

const NAMES = ['a', 'b', 'c', 'd'];
const STEPS = 150;

/** Every file and link below, with its size. */
function filesIn(root: string, at = ''): Map<string, number> {
  const found = new Map<string, number>();
  for (const entry of readdirSync(join(root, at), { withFileTypes: true })) {
    const path = at === '' ? entry.name : `${at}/${entry.name}`;
    if (entry.isDirectory()) for (const [file, size] of filesIn(root, path)) found.set(file, size);
    else found.set(path, lstatSync(join(root, path)).size);
  }
  return found;
}

/** Does things at random in a folder, and replays what is reported of it. */
class Play {
  readonly project = new Watching();
  readonly model = new Map<string, number>();
  readonly #random: () => number;
  #seen = 0;

  constructor() {
    const seed = seedOf();
    process.stdout.write(`seed ${seed}\n`);
    this.#random = mulberry(seed);
  }

  async act(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      try {
        this.#step();
      } catch {
        // Most steps do not fit what is there.
      }
      if (this.#random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
      if (this.#random() < 0.05) await new Promise((resolve) => setTimeout(resolve, this.#random() * 6));
    }
  }

  /** Each report has to fit what was reported before. */
  replay(): void {
    for (const { type, payload } of this.project.events.slice(this.#seen)) {
      const path = String(payload['path']);
      const known = this.model.has(path);
      expect([type, path, known]).toEqual([type, path, type !== 'file.create']);
      if (type === 'file.delete') this.model.delete(path);
      else this.model.set(path, Number(payload['size']));
    }
    this.#seen = this.project.events.length;
  }

  isUpToDate(): boolean {
    this.replay();
    return isDeepStrictEqual(this.model, filesIn(this.project.root));
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  #path(): string {
    const depth = 1 + Math.floor(this.#random() * 3);
    return this.project.path(Array.from({ length: depth }, () => this.#pick(NAMES)).join('/'));
  }

  #step(): void {
    const kind = this.#random();
    if (kind < 0.15) writeFileSync(this.#path(), 'x'.repeat(Math.floor(this.#random() * 9)));
    else if (kind < 0.3) appendFileSync(this.#path(), 'y');
    else if (kind < 0.5) mkdirSync(this.#path(), { recursive: true });
    else if (kind < 0.75) renameSync(this.#path(), this.#path());
    else if (kind < 0.88) rmSync(this.#path(), { recursive: true });
    else symlinkSync(this.#pick(NAMES), this.#path());
  }
}

describe('whatever is done to a folder', () => {
  it('its reports lead from what was there to what is there, and each fits what was before', async () => {
    const play = new Play();
    await play.project.start({ debounce_ms: 1 });
    for (let round = 0; round < 6; round += 1) {
      await play.act(STEPS);
      await play.project.settle();
      play.replay();
      expect(play.model).toEqual(filesIn(play.project.root));
      if (round % 2 === 1) await play.project.start({ debounce_ms: 1 });
      else await play.project.watcher!.reconfigure(watchConfig({ debounce_ms: 1, ignore: [`x${round}`] }));
    }
  });

  it('so they do where it is polled', async () => {
    const play = new Play();
    await play.project.start({ debounce_ms: 1, use_polling: true }, { pollPauseMs: 5 });
    for (let round = 0; round < 6; round += 1) {
      await play.act(STEPS);
      await until('all is reported', () => play.isUpToDate());
    }
  });
});
