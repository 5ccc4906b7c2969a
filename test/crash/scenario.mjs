// What happens in a round: two tracks of steps side by side, one of work and one of kills, drawn from the round's seed.
import { drawSpec, ENDLESS, promptOf } from './agent-spec.mjs';
import { Random, seedOf } from './random.mjs';

const WORK = {
  submit: 6,
  submitMany: 2,
  submitByCommand: 1,
  submitWithKey: 2,
  submitWithTimeout: 1,
  submitEndless: 1,
  cancel: 2,
  retry: 1,
  reload: 1,
  badReload: 0.5,
  follow: 1,
  read: 1,
};

const KILLS = {
  daemon: 6,
  daemonWhileStarting: 2,
  daemonWhileRestarting: 2,
  threeStarts: 1,
  fiveDaemons: 1,
  agent: 2,
  runner: 2,
  daemonAndAgent: 2,
  daemonAndRunner: 1,
  everything: 2,
  restart: 3,
  stop: 1,
  stopByForce: 1,
};

/** Steps are plain values: `{after, do, …}`, where `after` is the pause before it in ms, `at` a place in a list (0 to 1). */
export function drawRound(seed, round) {
  const random = new Random(seedOf(seed, round));
  let count = 0;
  const name = () => `r${round}-${(count += 1)}`;
  const work = Array.from({ length: random.whole(6, 14) }, () => ({
    after: random.whole(0, 150),
    ...drawWork(random, name),
  }));
  const kills = Array.from({ length: random.whole(1, 3) }, () => ({
    after: random.whole(20, 900),
    do: random.weighted(KILLS),
    at: random.next(),
    // How long no daemon runs: mostly shorter, sometimes longer than an agent lives.
    down: random.chance(0.3) ? random.whole(300, 1500) : random.whole(0, 80),
  }));
  return { round, parallel: random.whole(1, 5), work, kills };
}

function drawWork(random, name) {
  const what = random.weighted(WORK);
  switch (what) {
    case 'submitMany': {
      const count = random.whole(3, 12);
      return { do: what, submits: Array.from({ length: count }, () => drawSubmit(random, name())) };
    }
    case 'submit':
    case 'submitByCommand':
      return { do: what, submit: drawSubmit(random, name()) };
    case 'submitWithKey': {
      const key = `key-${random.whole(1, 2)}`;
      const count = random.whole(1, 3);
      const submits = Array.from({ length: count }, () => ({ ...drawSubmit(random, name()), key }));
      return { do: what, submits };
    }
    case 'submitWithTimeout':
      return {
        do: 'submit',
        submit: { prompt: promptOf(name(), ENDLESS), timeoutMs: random.whole(300, 1500) },
      };
    case 'submitEndless':
      return { do: 'submit', submit: { prompt: promptOf(name(), ENDLESS) } };
    case 'reload':
      return { do: what, parallel: random.whole(1, 5) };
    default:
      return { do: what, at: random.next() };
  }
}

function drawSubmit(random, name) {
  const spec = drawSpec(random);
  const submit = { prompt: promptOf(name, spec) };
  if (random.chance(0.3)) submit.priority = random.whole(-5, 5);
  if (random.chance(0.2)) submit.delayMs = random.whole(50, 1200);
  // A retry comes after five seconds: seldom, or the rounds take long.
  if (random.chance(0.04)) submit.retries = 1;
  if (random.chance(0.2)) submit.maxAttempts = random.whole(1, 2);
  // Those that die are tried again by themselves, after as long.
  if (spec.kill !== undefined) submit.maxAttempts = random.chance(0.1) ? 2 : 1;
  return submit;
}
