import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import type { Client } from '#aiwgd/ipc/client.js';
import type { TraceEntry } from '#aiwgd/protocol/automation.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { type Block, readPage } from '../docs/markdown.js';
import { until } from '../support/temp.js';
import { CLI, Project, type Ran, runProgram } from './support.js';

const page = readPage('docs/cookbook.md');

/** The title of each recipe, by its number. */
export const RECIPES = new Map(
  page.prose.flatMap(({ text }): [number, string][] => {
    const [, number, title] = /^## (\d+)\. (.*)$/.exec(text) ?? [];
    return number === undefined || title === undefined ? [] : [[Number(number), title]];
  }),
);

/** The blocks of a recipe: those between its heading and the next. */
function blocksOf(number: number): Block[] {
  const headings = page.prose.filter(({ text }) => text.startsWith('## '));
  const at = headings.findIndex(({ text }) => text.startsWith(`## ${number}. `));
  const from = headings[at]?.line ?? Number.POSITIVE_INFINITY;
  const to = headings[at + 1]?.line ?? Number.POSITIVE_INFINITY;
  return page.blocks.filter(({ line }) => line > from && line < to);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** A project in which a recipe of the cookbook is followed to the letter, with the stand-in for claude. */
export class Kitchen {
  readonly project = new Project();
  readonly #blocks: Block[];
  readonly #steps: Block[];
  #connected: Client | undefined;
  /** Ports of the page, which may be taken here, and what they are exchanged for. */
  readonly #ports: ReadonlyMap<string, number>;

  constructor(number: number, { ports = new Map() }: { ports?: ReadonlyMap<string, number> } = {}) {
    this.#blocks = blocksOf(number);
    this.#steps = this.#blocks.filter(({ marks }) => marks.includes('step'));
    this.#ports = ports;
    const { root, env } = this.project;
    const bin = join(dirname(root), 'bin');
    mkdirSync(bin);
    symlinkSync(CLI, join(bin, 'aiwgd'));
    env['PATH'] = [join(root, '.aiwg', 'try'), bin, env['PATH']].join(delimiter);
    const standIn = page.blocks.find(({ marks }) => marks.includes('stand-in'));
    for (const block of [standIn, ...this.#blocks]) if (block !== undefined) this.#save(block);
    this.project.configure(this.config);
  }

  /** The configuration of the recipe. */
  get config(): Record<string, unknown> {
    const block = this.#blocks.find(({ marks }) => marks.includes('config') && marks.includes('recipe'));
    if (block === undefined) throw new Error('the recipe has no configuration');
    return JSON.parse(this.#adapted(block.text)) as Record<string, unknown>;
  }

  async start(): Promise<void> {
    await this.project.start();
    this.#connected = await this.project.connect();
  }

  get #client(): Client {
    if (this.#connected === undefined) throw new Error('the daemon was not started');
    return this.#connected;
  }

  /** Does the next step of the recipe, as a reader would in a shell. */
  async step(): Promise<string> {
    const block = this.#steps.shift();
    if (block === undefined) throw new Error('the recipe has no further step');
    const { root, env } = this.project;
    const ran: Ran = await runProgram('/bin/sh', ['-eu', '-c', this.#adapted(block.text)], {
      cwd: root,
      env,
    });
    if (ran.code !== 0)
      throw new Error(`docs/cookbook.md:${block.line}: ${JSON.stringify(ran)}\n${this.project.logTail()}`);
    return ran.stdout;
  }

  /** Steps that were not done. */
  get stepsLeft(): number {
    return this.#steps.length;
  }

  async tasks(): Promise<Task[]> {
    const tasks = await this.#client.task.list({ limit: 100 });
    return tasks.toSorted((one, other) => one.id.localeCompare(other.id));
  }

  /** Waits until so many tasks have ended; all tasks, the oldest first. */
  async ended(count: number): Promise<Task[]> {
    let tasks: Task[] = [];
    await until(`${count} tasks have ended`, async () => {
      tasks = await this.tasks();
      return tasks.filter(({ completedAt }) => completedAt !== null).length >= count;
    });
    return tasks;
  }

  /** What became of the events of a rule, the newest first. */
  async traces(ruleId: string): Promise<TraceEntry[]> {
    return (await this.#client.automation.trace({ ruleId })).entries;
  }

  /** Waits for an event of the rule to come to this. */
  async traced(ruleId: string, outcome: TraceEntry['outcome']): Promise<TraceEntry> {
    let found: TraceEntry | undefined;
    await until(`${ruleId}: ${outcome}`, async () => {
      found = (await this.traces(ruleId)).find((entry) => entry.outcome === outcome);
      return found !== undefined;
    });
    return found as TraceEntry;
  }

  /** Waits for the first event of a topic. */
  async event(topic: string): Promise<AiwgEvent> {
    let found: AiwgEvent | undefined;
    await until(topic, async () => {
      [found] = await this.#client.event.history({ topic });
      return found !== undefined;
    });
    return found as AiwgEvent;
  }

  #save({ marks, text }: Block): void {
    const name = marks.find((mark) => mark.startsWith('file='))?.slice('file='.length);
    if (name === undefined) return;
    const path = join(this.project.root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.#adapted(text));
    chmodSync(path, 0o755);
  }

  #adapted(text: string): string {
    let adapted = text;
    for (const [port, other] of this.#ports) adapted = adapted.replaceAll(port, String(other));
    return adapted;
  }
}
