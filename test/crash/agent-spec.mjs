// What an agent is told to do, as a prompt, and what has to come of it.

/** A line longer than one page now and then, and characters of several bytes, so that a cut in the wrong place shows. */
const PADS = [{ pad: '' }, { pad: 'größe-日本-🙂' }, { pad: 'x', times: 300 }, { pad: 'ü', times: 2500 }];

const DEFAULTS = {
  lines: 0,
  pause: '0',
  pad: '',
  times: 1,
  exit: 0,
  kill: '',
  children: 0,
  stubborn: 0,
  linger: 0,
};

/** The kinds of agents, each with the words that make it. `linger` is in tenths of a second. */
const KINDS = {
  quick: (random) => ({ lines: random.whole(0, 3) }),
  slow: (random) => ({ lines: random.whole(5, 25), pause: random.pick(['0.02', '0.05', '0.1']) }),
  loud: (random) => ({ lines: random.whole(500, 3000) }),
  failing: (random) => ({ lines: random.whole(0, 5), exit: random.whole(1, 120) }),
  dying: (random) => ({ lines: 3, kill: random.pick(['KILL', 'TERM', 'SEGV']) }),
  deserting: (random) => ({ lines: 4, pause: '0.05', children: random.whole(1, 2) }),
  stubborn: (random) => ({ lines: 2, children: 1, stubborn: 1, linger: random.whole(2, 8) }),
};

/** Runs until it is ended. */
export const ENDLESS = { lines: 3, children: 1, stubborn: 1, linger: 6000 };

export function drawSpec(random) {
  const kind = random.weighted({
    quick: 4,
    slow: 6,
    loud: 2,
    failing: 2,
    dying: 1,
    deserting: 2,
    stubborn: 2,
  });
  const pads = kind === 'loud' ? PADS.slice(0, 3) : PADS;
  return { ...KINDS[kind](random), ...random.pick(pads) };
}

/** `name` makes the prompt of every submit different from all others. */
export function promptOf(name, spec) {
  const words = Object.entries(spec).map(([key, value]) => `${key}=${value}`);
  return [`#${name}`, ...words].join(' ');
}

/** The name and the spec in a prompt; undefined for a prompt that is none of ours. */
export function readPrompt(prompt) {
  const [name, ...words] = prompt.split(' ');
  if (!name.startsWith('#')) return undefined;
  const spec = { ...DEFAULTS };
  for (const word of words) {
    const at = word.indexOf('=');
    const key = word.slice(0, at);
    const value = word.slice(at + 1);
    spec[key] = typeof DEFAULTS[key] === 'number' ? Number(value) : value;
  }
  return { name: name.slice(1), spec };
}

/** All that the agent prints, where it comes to its end. */
export function outputOf({ lines, pad, times }) {
  let text = '';
  for (let n = 1; n <= lines; n += 1) text += `line ${n} ${pad.repeat(times)}\n`;
  return text;
}

/** How often an agent runs that nobody disturbs: one that dies is tried again by itself, one that fails where asked. */
export function attemptsOf(spec, { maxAttempts, retries }) {
  const { state, signal } = endOf(spec);
  if (signal !== null) return maxAttempts;
  return state === 'failed' ? 1 + retries : 1;
}

/** How an agent ends that nobody disturbs: the state of a task without retries, exit code and signal. */
export function endOf({ exit, kill }) {
  if (kill !== '') return { state: 'failed', exitCode: null, signal: `SIG${kill}` };
  return { state: exit === 0 ? 'completed' : 'failed', exitCode: exit, signal: null };
}
