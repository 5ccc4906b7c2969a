#!/usr/bin/env node
// Fake Anthropic Messages API for testing real agent CLIs on loopback. No dependencies, Node >= 18.
//   PORT=8787 SCRIPT='tool_bash:echo hi,ok:done' node fake-anthropic.mjs
//   env -i PATH="$PATH" HOME="$(mktemp -d)" ANTHROPIC_BASE_URL=http://127.0.0.1:8787 ANTHROPIC_API_KEY=dummy claude -p hello
// env: PORT (0 = pick one; first stdout line is {"listening":PORT}), SCRIPT, LOG (file, one JSON line per request)
//
// SCRIPT: one behaviour per model request, in order; comma-separated, or a JSON array when arguments hold
// commas. When used up, "ok" is played. A trailing "!" repeats that behaviour for ever ("529!").
//   ok[:text]          text answer, stop_reason end_turn
//   slow:<ms>[:text]   same, headers and first bytes at once, then words spread over <ms>
//   tokens:<in>/<out>[:text]  same as ok, but charged for that many tokens (scripts what a run costs)
//   tool_bash:<cmd>    tool_use Bash {command}       tool_write:<path>:<content>  tool_use Write
//   tool:<Name>:<json> any tool_use                  json:<json>  StructuredOutput tool_use (--json-schema)
//   max_tokens[:text]  stop_reason max_tokens        refusal[:text]  stop_reason refusal
//   400[:message] 401 403 404 413 500 503 529   error response; 429:<retry_after seconds>; 529:<retry_after>
//   limit:<seconds>    429 as for a used-up subscription (anthropic-ratelimit-unified-* headers, reset in <seconds>)
//   sse_error          overloaded_error event in the middle of a stream
//   hang               accept, never answer          hang_mid   stream half an answer, then silence
//   drop               destroy the socket            drop_mid   destroy it in mid-stream
// A "side" request (no tools, e.g. title generation or a quota probe) does not use up SCRIPT unless SIDE=1.
//
// Control: GET /__log (requests so far)  POST /__script {"script":[...]} (replace)  POST /__reset  GET /__state

import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import http from 'node:http';

const SIDE = process.env.SIDE === '1';
const parse = (s) =>
  !s ? [] : Array.isArray(s) ? s : s.trim().startsWith('[') ? JSON.parse(s) : s.split(',');
let script = parse(process.env.SCRIPT),
  log = [],
  seq = 0;
const id = (p) => `${p}_fake_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const usage = (o, i = 100) => ({
  input_tokens: i,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: o,
  service_tier: 'standard',
});

function next() {
  if (!script.length) return 'ok';
  if (script[0].endsWith('!')) return script[0].slice(0, -1);
  return script.shift();
}
function split(b) {
  const i = b.indexOf(':');
  return i < 0 ? [b, ''] : [b.slice(0, i), b.slice(i + 1)];
}

const ERR = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'api_error',
  529: 'overloaded_error',
};
const MSG = {
  401: 'invalid x-api-key',
  429: 'This request would exceed your rate limit (fake)',
  529: 'Overloaded',
};

function sendError(res, code, arg, extra) {
  const h = { 'content-type': 'application/json', 'request-id': id('req'), ...extra };
  if ((code === 429 || code === 529 || code === 503) && arg) h['retry-after'] = arg;
  const message = code === 400 && arg ? arg : MSG[code] || `fake ${code}`;
  res.writeHead(code, h);
  res.end(
    JSON.stringify({
      type: 'error',
      error: { type: ERR[code] || 'api_error', message },
      request_id: h['request-id'],
    }),
  );
}

function toolBlock(name, arg) {
  if (name === 'tool_bash') return ['Bash', { command: arg, description: 'fake' }];
  if (name === 'tool_write') {
    const [p, c] = split(arg);
    return ['Write', { file_path: p, content: c }];
  }
  if (name === 'json') return ['StructuredOutput', JSON.parse(arg)];
  const [n, j] = split(arg);
  return [n, j ? JSON.parse(j) : {}];
}

// Turn a behaviour into a message and a list of text pieces.
function compose(name, arg, body) {
  const base = { id: id('msg'), type: 'message', role: 'assistant', model: body.model, stop_sequence: null };
  if (['tool_bash', 'tool_write', 'tool', 'json'].includes(name)) {
    const [tool, input] = toolBlock(name, arg);
    return {
      ...base,
      content: [
        { type: 'text', text: `Calling ${tool}.` },
        { type: 'tool_use', id: id('toolu'), name: tool, input },
      ],
      stop_reason: 'tool_use',
      usage: usage(30),
    };
  }
  const text = (['slow', 'tokens'].includes(name) ? split(arg)[1] : arg) || 'Hello from the fake model.';
  const stop = { max_tokens: 'max_tokens', refusal: 'refusal' }[name] || 'end_turn';
  return {
    ...base,
    content: [{ type: 'text', text }],
    stop_reason: stop,
    usage: name === 'tokens' ? usage(+split(arg)[0].split('/')[1], +split(arg)[0].split('/')[0]) : usage(10),
  };
}

async function stream(res, m, { ms = 0, mode = '' } = {}) {
  res.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'request-id': id('req'),
  });
  const ev = (type, data) => res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  ev('message_start', {
    message: { ...m, content: [], stop_reason: null, usage: { ...m.usage, output_tokens: 1 } },
  });
  ev('ping', {});
  for (const [index, b] of m.content.entries()) {
    if (b.type === 'text') {
      ev('content_block_start', { index, content_block: { type: 'text', text: '' } });
      const words = b.text.match(/\S+\s*/g) || [b.text];
      for (const [i, w] of words.entries()) {
        if (res.destroyed) return;
        if (mode && i >= Math.ceil(words.length / 2)) {
          if (mode === 'hang_mid') return; // silence, socket stays open
          if (mode === 'drop_mid') return void res.destroy();
          if (mode === 'sse_error') {
            ev('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });
            return void res.end();
          }
        }
        ev('content_block_delta', { index, delta: { type: 'text_delta', text: w } });
        if (ms) await sleep(ms / words.length);
      }
    } else {
      ev('content_block_start', { index, content_block: { ...b, input: {} } });
      const s = JSON.stringify(b.input);
      for (let i = 0; i < s.length; i += 40)
        ev('content_block_delta', {
          index,
          delta: { type: 'input_json_delta', partial_json: s.slice(i, i + 40) },
        });
    }
    ev('content_block_stop', { index });
  }
  ev('message_delta', {
    delta: { stop_reason: m.stop_reason, stop_sequence: null },
    usage: { output_tokens: m.usage.output_tokens },
  });
  ev('message_stop', {});
  res.end();
}

async function messages(req, res, body, rec) {
  rec.side = !body.tools?.length;
  const beh = rec.side && !SIDE ? 'ok:Fake title' : next();
  rec.behaviour = beh;
  const [name, arg] = split(beh);
  if (/^\d{3}$/.test(name)) return sendError(res, +name, arg);
  if (name === 'limit') {
    const reset = String(Math.floor(Date.now() / 1000) + +(arg || 3600)),
      p = 'anthropic-ratelimit-unified-';
    return sendError(res, 429, arg, {
      [`${p}status`]: 'rejected',
      [`${p}reset`]: reset,
      [`${p}representative-claim`]: 'five_hour',
      [`${p}5h-status`]: 'rejected',
      [`${p}5h-reset`]: reset,
      [`${p}overage-status`]: 'rejected',
      'x-should-retry': 'false',
    });
  }
  if (name === 'hang') return;
  if (name === 'drop') return void req.socket.destroy();
  const m = compose(name, arg, body);
  const ms = name === 'slow' ? +split(arg)[0] : 0;
  if (body.stream)
    return stream(res, m, { ms, mode: ['hang_mid', 'drop_mid', 'sse_error'].includes(name) ? name : '' });
  if (ms) await sleep(ms);
  res.writeHead(200, { 'content-type': 'application/json', 'request-id': id('req') });
  res.end(JSON.stringify(m));
}

const json = (res, code, o) => {
  res.writeHead(code, { 'content-type': 'application/json' });
  res.end(JSON.stringify(o));
};

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x');
  let raw = '';
  req.setEncoding('utf8');
  for await (const c of req) raw += c;
  let body = {};
  try {
    body = raw ? JSON.parse(raw) : {};
  } catch {
    body = { unparsed: raw.length };
  }

  if (url.pathname === '/__log') return json(res, 200, log);
  if (url.pathname === '/__state') return json(res, 200, { script, requests: log.length });
  if (url.pathname === '/__reset') {
    script = [];
    log = [];
    return json(res, 200, { ok: true });
  }
  if (url.pathname === '/__script') {
    script = parse(body.script);
    return json(res, 200, { ok: true, script });
  }

  // Never log header values that can hold a key: only which auth header was sent.
  const rec = {
    n: ++seq,
    t: new Date().toISOString(),
    method: req.method,
    path: url.pathname + url.search,
    bytes: raw.length,
    auth: req.headers['x-api-key'] ? 'x-api-key' : req.headers.authorization ? 'bearer' : 'none',
    ua: req.headers['user-agent'],
    beta: req.headers['anthropic-beta'],
    retry: req.headers['x-stainless-retry-count'],
  };
  if (url.pathname.startsWith('/v1/messages'))
    Object.assign(rec, {
      model: body.model,
      stream: !!body.stream,
      max_tokens: body.max_tokens,
      tools: body.tools?.map((t) => t.name),
      nmsg: body.messages?.length,
      firstUser: body.messages?.find((m) => m.role === 'user')?.content,
      lastRole: body.messages?.at(-1)?.role,
      last: body.messages?.at(-1)?.content,
      lastUser: body.messages?.findLast((m) => m.role === 'user')?.content,
      system: body.system,
      metadata: body.metadata,
    });
  log.push(rec);
  res.on('close', () => {
    rec.aborted = !res.writableEnded;
    rec.ms = Date.now() - Date.parse(rec.t);
    if (process.env.LOG) appendFileSync(process.env.LOG, JSON.stringify(rec) + '\n');
  });

  if (req.method === 'POST' && url.pathname === '/v1/messages') return messages(req, res, body, rec);
  if (req.method === 'POST' && url.pathname === '/v1/messages/count_tokens')
    return json(res, 200, { input_tokens: Math.ceil(raw.length / 4) });
  if (url.pathname === '/v1/models')
    return json(res, 200, {
      data: [{ type: 'model', id: 'claude-fake', display_name: 'Fake' }],
      has_more: false,
    });
  if (req.method === 'HEAD' || url.pathname === '/') return json(res, 200, {});
  return sendError(res, 404);
});
server.keepAliveTimeout = 60_000;
server.listen(+(process.env.PORT ?? 8787), '127.0.0.1', () =>
  console.log(JSON.stringify({ listening: server.address().port })),
);
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(0));
