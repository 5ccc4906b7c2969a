#!/usr/bin/env node
// Speaks the part of claude's stream-json that permission is asked in. Its first line on stdin is the user's message, whose
// text is a JSON list of steps; its result is what it was told, by the ids of its questions. Like claude it then waits for
// more on stdin, until somebody ends it.
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const heard = {};
const waits = new Map();
const session_id = '01234567-89ab-4cde-8f01-23456789abcd';

function take(line) {
  const { response } = JSON.parse(line);
  const { request_id: id } = response;
  (heard[id] ??= []).push(response.response);
  waits.get(id)?.();
}

function ask({ id, tool = 'Bash', input, rule, fill = 0 }) {
  if (fill > 0) input.content = 'z'.repeat(fill);
  const rules = rule === undefined ? [] : [rule];
  const permission_suggestions = rules.map(([toolName, ruleContent]) => ({
    type: 'addRules',
    rules: [{ toolName, ruleContent }],
    behavior: 'allow',
    destination: 'localSettings',
  }));
  const request = {
    subtype: 'can_use_tool',
    tool_name: tool,
    input,
    permission_suggestions,
    tool_use_id: `use-${id}`,
  };
  say({ type: 'control_request', request_id: id, request });
}

async function told(id) {
  if (heard[id] === undefined) await new Promise((resolve) => waits.set(id, resolve));
  const content = [{ type: 'tool_result', tool_use_id: `use-${id}`, content: 'done' }];
  say({ type: 'user', message: { role: 'user', content }, session_id });
}

const STEPS = {
  ask,
  told,
  cancel: (request_id) => say({ type: 'control_cancel_request', request_id }),
  print: (text) => process.stdout.write(text),
  // As if it read nothing any more.
  deaf: () => lines.pause(),
  hear: () => lines.resume(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  end: (code) => process.exit(code),
  forever: () => new Promise(() => undefined),
  result: () =>
    say({
      type: 'result',
      subtype: 'success',
      is_error: false,
      result: JSON.stringify(heard),
      session_id,
      total_cost_usd: 0.01,
      usage: {},
    }),
};

async function perform(line) {
  const { content } = JSON.parse(line).message;
  const text = typeof content === 'string' ? content : content[0].text;
  say({ type: 'system', subtype: 'init', session_id, model: 'none', argv: process.argv });
  for (const step of JSON.parse(text)) {
    const [[name, argument]] = Object.entries(step);
    await STEPS[name](argument);
  }
}

const lines = createInterface({ input: process.stdin });
let begun = false;
lines.on('line', (line) => {
  if (begun) take(line);
  else {
    begun = true;
    void perform(line);
  }
});
