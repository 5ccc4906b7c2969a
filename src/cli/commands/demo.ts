import { relative } from 'node:path';
import { AiwgdError } from '../../protocol/errors.js';
import type { Task } from '../../protocol/task.js';
import type { Context } from '../context.js';
import { runCrashDemo } from '../demo/crash-demo.js';
import { DemoProject } from '../demo/demo-project.js';
import { taskTable } from '../views/task-views.js';

/** Widths that also suit the log of a CI job. */
const COLUMNS = 80;

function report(
  { output, clock }: Context,
  project: DemoProject,
  tasks: readonly Task[],
  kept: boolean,
): void {
  const { paths } = project;
  const show = (path: string): string => relative(paths.root, path);
  const { paint } = output;
  output.line();
  for (const line of taskTable(tasks, clock.now(), Math.min(COLUMNS, output.columns()), paint)) {
    output.line(line);
  }
  output.line();
  output.line(`${paint('green', 'All tasks completed, none was lost.')} NOTES.md has a line of each.`);
  output.line();
  output.line(`Where things lie, in ${paths.root}:`);
  output.line(`  ${show(paths.config).padEnd(24)} the configuration`);
  output.line(`  ${show(paths.database).padEnd(24)} the queue and its history`);
  output.line(`  ${show(paths.actions).padEnd(24)} what each attempt wrote`);
  output.line(`  ${show(paths.log).padEnd(24)} the log`);
  output.line(kept ? 'It is kept, as you asked.' : 'It is removed now; aiwgd demo --keep leaves it there.');
  output.line();
  output.line('Next, in a project of yours:');
  output.line('  aiwgd start');
  output.line('  aiwgd task submit --wait "explain this project in five sentences"');
  output.line('  aiwgd status');
}

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock, onInterrupt } = context;
  const kept = options.keep === true;
  const project = new DemoProject(clock, kept);
  onInterrupt(() => project.close());
  const say = (text: string): void => {
    if (!output.json) output.line(text);
  };
  try {
    say(`A scratch project: ${project.paths.root}`);
    const tasks = await runCrashDemo({
      project,
      clock,
      say,
      show: (line) => say(output.paint('dim', line)),
    });
    const lost = tasks.filter(({ state }) => state !== 'completed');
    if (lost.length > 0 || project.noteLines().length !== tasks.length) {
      const states = tasks.map(
        ({ id, state, error }) => `${id} ${state}${error === null ? '' : ` (${error})`}`,
      );
      throw new AiwgdError('TASK_NOT_COMPLETED', `The demo lost something: ${states.join(', ')}.`);
    }
    if (output.json) output.document({ project: kept ? project.paths.root : null, tasks, lost: 0 });
    else report(context, project, tasks, kept);
  } finally {
    await project.close();
  }
  say(`Daemon stopped${kept ? '' : ', scratch project removed'}.`);
  return 0;
}
