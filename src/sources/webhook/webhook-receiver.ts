import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { WebhookConfig } from '../../protocol/config/config-schema.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import { Listener } from './listener.js';
import { hostAndPort, isLoopback } from './loopback.js';
import { RequestHandler, type Terms } from './request-handler.js';

/** Shorter secrets can be guessed. */
const SHORT_SECRET_CHARACTERS = 16;

export interface WebhookReceiverOptions {
  config: WebhookConfig;
  /** Holds the variable that `secret_env` names. */
  environment: Readonly<Record<string, string | undefined>>;
  db: StateDatabase;
  clock: Clock;
  log: Log;
  /** Called within a transaction of `db`. */
  publish: (event: NewEvent) => AiwgEvent;
  /** What `GET /health` tells anybody: only the `status` of it. */
  health: () => { status: string };
  /** `webhook_storage`: events cannot be written; `webhook_listener`: it has broken. Undefined: all is well again. */
  onFault: (code: 'webhook_storage' | 'webhook_listener', error: Error | undefined) => void;
}

export interface WebhookStatus {
  enabled: boolean;
  listening: boolean;
  host: string;
  /** Where it listens in fact; the configured one while it does not listen. */
  port: number;
  endpoints: number;
  connections: number;
  requests: number;
  accepted: number;
  duplicates: number;
  /** Refused requests by HTTP status. */
  rejected: Record<string, number>;
}

/** The open listener, what it goes by, and the host and port that it was asked for. */
interface Open {
  listener: Listener;
  terms: Terms;
  host: string;
  port: number;
}

/**
 * Receives signed HTTP requests and publishes each as an event `webhook.<path>`. A request is answered with success
 * when its event is on disk, and a delivery that comes again is taken once. Never listens without a secret.
 */
export class WebhookReceiver {
  readonly #options: WebhookReceiverOptions;
  readonly #handler: RequestHandler;
  #config: WebhookConfig;
  #open: Open | undefined;
  /** Connections could not be accepted, and none has been since. */
  #broken = false;
  /** Changes come one after another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: WebhookReceiverOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#handler = new RequestHandler({
      ...options,
      onFault: (error) => options.onFault('webhook_storage', error),
    });
  }

  /** Listens, where the configuration says so. Throws START_FAILED naming what is in the way and the remedy. */
  listen(): Promise<void> {
    return this.#inTurn(() => this.#apply(this.#config));
  }

  /**
   * Goes by another configuration; connections stay where host and port do. Throws START_FAILED: then everything is as
   * it was before.
   */
  reconfigure(config: WebhookConfig): Promise<void> {
    return this.#inTurn(() => this.#apply(config));
  }

  status(): WebhookStatus {
    const { enabled, host, port, endpoints } = this.#config;
    const listener = this.#open?.listener;
    return {
      enabled,
      listening: listener !== undefined,
      host,
      port: listener?.address.port ?? port,
      endpoints: endpoints.length,
      connections: listener?.connections ?? 0,
      ...this.#handler.counts(),
    };
  }

  /** Finishes what is in flight, for two seconds at most, and listens no more. */
  close(): Promise<void> {
    return this.#inTurn(() => this.#closeListener());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    // Whoever asked for it is told of its failure; the next one only has to wait.
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #apply(config: WebhookConfig): Promise<void> {
    if (!config.enabled) {
      await this.#closeListener();
      this.#config = config;
      this.#works();
      return;
    }
    const secret = this.#readSecret(config);
    const open = this.#open;
    if (open?.host === config.host && open.port === config.port)
      Object.assign(open.terms, { config, secret });
    else await this.#move({ config, secret, onLoopback: true });
    this.#config = config;
  }

  async #move(terms: Terms): Promise<void> {
    const before = this.#open;
    // The same port on another address is free only when the old listener has gone.
    if (before?.port === terms.config.port) await this.#closeListener();
    let opened: Open;
    try {
      opened = await this.#listenOn(terms);
    } catch (error) {
      if (before !== undefined && this.#open === undefined) await this.#restore(before.terms);
      throw error;
    }
    await this.#closeListener();
    this.#open = opened;
    this.#works();
    this.#tell(opened);
  }

  async #restore(terms: Terms): Promise<void> {
    try {
      this.#open = await this.#listenOn(terms);
    } catch (error) {
      this.#breaks(error as Error);
    }
  }

  async #listenOn(terms: Terms): Promise<Open> {
    const { clock, log } = this.#options;
    const { host, port } = terms.config;
    const listener = await Listener.open({
      host,
      port,
      clock,
      log,
      handle: (request, response) => {
        this.#works();
        return this.#handler.handle(request, response, terms);
      },
      onError: (error) => this.#breaks(error),
    });
    // Until here the stricter was assumed.
    terms.onLoopback = isLoopback(listener.address.address);
    return { listener, terms, host, port };
  }

  #breaks(error: Error): void {
    this.#broken = true;
    this.#options.onFault('webhook_listener', error);
  }

  #works(): void {
    if (!this.#broken) return;
    this.#broken = false;
    this.#options.onFault('webhook_listener', undefined);
  }

  async #closeListener(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.listener.close();
  }

  #tell({ listener, host, terms: { config, secret, onLoopback } }: Open): void {
    const { log } = this.#options;
    const { port } = listener.address;
    const where = hostAndPort(host, port);
    log.info({ host, port, endpoints: config.endpoints.length }, `The webhook receiver listens on ${where}`);
    if (!onLoopback) {
      const reach = `Other machines can reach the webhook receiver on ${where}: without TLS, though every request must be signed`;
      log.warn({ host, port }, reach);
    }
    if (secret.length < SHORT_SECRET_CHARACTERS) {
      log.warn({}, `The secret in ${config.secret_env} is short: make a new one with openssl rand -hex 32`);
    }
  }

  #readSecret({ host, port, secret_env }: WebhookConfig): string {
    const where = `The webhook receiver does not listen on ${hostAndPort(host, port)}`;
    const data = { host, port };
    if (secret_env === null) {
      const remedy = 'Set webhook.secret_env to the name of the environment variable that holds the secret.';
      throw new AiwgdError(
        'START_FAILED',
        `${where}: there is no secret to check signatures with. ${remedy}`,
        {
          data,
        },
      );
    }
    const secret = this.#options.environment[secret_env];
    if (secret !== undefined && secret.trim() !== '') return secret;
    const state = secret === undefined ? 'is not set' : 'is empty';
    const remedy = `Set it (for example to what openssl rand -hex 32 prints), then run: aiwgd restart`;
    throw new AiwgdError(
      'START_FAILED',
      `${where}: the variable ${secret_env} (webhook.secret_env) ${state} in the daemon's environment. ${remedy}`,
      { data },
    );
  }
}
