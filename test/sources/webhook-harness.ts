import { createHmac } from 'node:crypto';
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { type Clock, systemClock } from '#aiwgd/platform/clock.js';
import type { WebhookConfig } from '#aiwgd/protocol/config/config-schema.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { WebhookReceiver } from '#aiwgd/sources/webhook/webhook-receiver.js';
import { tempFolder } from '../support/temp.js';

export const SECRET = 'it is a secret to everybody 0123456789';

export function sign(body: string | Buffer, secret = SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: Record<string, unknown>;
}

interface Sending {
  path?: string;
  method?: string;
  body?: string | Buffer;
  headers?: Record<string, string>;
  agent?: Agent;
}

/** A receiver on a port of loopback that the system chose, with a database of its own. */
export class Harness {
  readonly folder = tempFolder();
  readonly logLines: string[] = [];
  readonly faults = new Map<string, Error>();
  readonly config: WebhookConfig;
  readonly db: StateDatabase;
  readonly clock: Clock;
  health = 'healthy';
  environment: Record<string, string | undefined> = { HOOK_SECRET: SECRET };
  receiver: WebhookReceiver;

  constructor({ clock = systemClock, ...config }: Partial<WebhookConfig> & { clock?: Clock } = {}) {
    this.clock = clock;
    this.config = {
      enabled: true,
      host: '127.0.0.1',
      port: 0,
      secret_env: 'HOOK_SECRET',
      endpoints: [
        { path: '/ci', method: 'POST' },
        { path: '/deploy/web', method: 'PUT' },
        { path: '/poke', method: 'GET' },
      ],
      ...config,
    };
    this.db = new StateDatabase({ path: join(this.folder, 'automation.db'), clock, log: this.#log() });
    this.db.exec('CREATE TABLE events (id INTEGER PRIMARY KEY, json TEXT NOT NULL)');
    this.receiver = this.make();
    onTestFinished(async () => {
      await this.receiver.close();
      this.db.close();
    });
  }

  make(): WebhookReceiver {
    return new WebhookReceiver({
      config: this.config,
      environment: this.environment,
      db: this.db,
      clock: this.clock,
      log: this.#log(),
      publish: (event) => {
        const { id } = this.db.run('INSERT INTO events (json) VALUES (?)', JSON.stringify(event));
        return { ...event, id: `event-${id}`, timestamp: new Date(this.clock.now()).toISOString() };
      },
      health: () => ({ status: this.health, secret: SECRET }),
      onFault: (code, error) => void (error ? this.faults.set(code, error) : this.faults.delete(code)),
    });
  }

  get port(): number {
    return this.receiver.status().port;
  }

  /** What was published and committed. */
  events(): AiwgEvent[] {
    return this.db.all('SELECT json FROM events ORDER BY id').map(({ json }) => JSON.parse(String(json)));
  }

  send({ path = '/ci', method = 'POST', body = '', headers = {}, agent }: Sending = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: this.config.host, port: this.port, path, method, headers, agent: agent ?? false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              json: text.startsWith('{') ? JSON.parse(text) : {},
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** As `send`, with the right signature, as JSON where nothing else is said. */
  sendSigned(sending: Sending = {}): Promise<Reply> {
    const headers = {
      'content-type': 'application/json',
      'x-hub-signature-256': sign(sending.body ?? ''),
      ...sending.headers,
    };
    return this.send({ ...sending, headers });
  }

  /** A bare connection, and what came back over it. */
  connect(): { socket: Socket; received: () => string; closed: Promise<void> } {
    const socket = connect(this.port, this.config.host);
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    return { socket, received: () => text, closed };
  }

  #log() {
    const line =
      (level: string) =>
      (fields: object, message: string): void => {
        this.logLines.push(`${level} ${message} ${JSON.stringify(fields, withErrors)}`);
      };
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
  }
}

function withErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack} ${String(value.cause)}` : value;
}
