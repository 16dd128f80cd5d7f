/**
 * The connection to the servers. The client's own settings suit short programs: it takes minutes to
 * see that a server is gone and gives up after ten tries. These do neither.
 */
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  type Status,
} from "@nats-io/transport-node";
import { type Clock, systemClock } from "../clock.ts";
import { InvalidInputError, UnavailableError } from "../errors.ts";
import { newId } from "../ids.ts";
import { checkInbox } from "./permissions.ts";
import { Publisher } from "./publisher.ts";
import { Reader } from "./reader.ts";
import { Requests } from "./requests.ts";
import { credentialsIn, isForTls, serverList, withoutSecrets } from "./server-addresses.ts";
import { gatherWrites, hangUp, hangUpAtEnd } from "./transport.ts";
import { Listeners, type StopListening, type Wire } from "./wire.ts";

/** Certificates for TLS; file names or contents in PEM format. */
export interface TlsFiles {
  readonly caFile?: string;
  readonly ca?: string;
  readonly certFile?: string;
  readonly cert?: string;
  readonly keyFile?: string;
  readonly key?: string;
  /** Begin with TLS, as the server's `handshake_first` requires. */
  readonly handshakeFirst?: boolean;
  /** Accept any certificate. Default true: refuse unknown ones. */
  readonly rejectUnauthorized?: boolean;
}

/** Where to connect to, and as whom. */
export interface NatsOptions {
  /**
   * `host:port` or `nats://host:port`, one or several; with `tls://host:port` a connection without
   * TLS is refused. User and password may stand in the address, `nats://user:password@host:port`, or
   * a token, `nats://token@host:port`; those of the first one that has any are for all.
   */
  readonly servers: string | readonly string[];
  /** What the servers show for this connection. */
  readonly name?: string;
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** A `.creds` file with a user's JWT and key. */
  readonly credsFile?: string;
  /** The seed of an nkey, or a file that holds it. */
  readonly nkey?: string;
  readonly tls?: TlsFiles;
  /** First tokens of reply subjects, for users who may subscribe to these only. Default `_INBOX`. */
  readonly inboxPrefix?: string;
  /** How long one dial may take. Default 2,500. */
  readonly dialTimeoutMs?: number;
  /** How often the server is asked for a sign of life; it is given up after three. Default 2,000. */
  readonly pingIntervalMs?: number;
  /** How long a write waits for its answer before its outcome is unknown. Default 3,000. */
  readonly ackTimeoutMs?: number;
  readonly clock?: Clock;
}

/** A connection with everything that writes and reads over it. */
export interface NatsLink extends Wire {
  readonly publisher: Publisher;
  readonly reader: Reader;
  readonly requests: Requests;
  /** Version of the server the connection stands to, such as `2.15.1`; changes with reconnects. */
  readonly serverVersion: string;
  /** Closes at once. Writes under way have an unknown outcome. Safe to repeat. */
  close(): Promise<void>;
  /** Waits for the answers to writes under way, at most 3 s, sends what is buffered and closes. */
  drain(): Promise<void>;
}

const PING_INTERVAL_MS = 2_000;
const DIAL_TIMEOUT_MS = 2_500;
const RECONNECT_PAUSE_MS = 250;
/** How often a first connection is tried that the server gave up on. */
const DIAL_TRIES = 5;
/** What a server accepts unless it says otherwise. */
const DEFAULT_MAX_PAYLOAD = 1_048_576;

/**
 * Checks that there are options at all, for programs without types.
 * @param caller The function that they were given to, for instance "connect()".
 * @throws {InvalidInputError} When they are no object; says what to write.
 */
export function checkOptions(options: unknown, caller: string): void {
  // What was given instead is not shown: an address may hold a password.
  if (typeof options !== "object" || options === null)
    throw new InvalidInputError(
      `${caller} was called without an object of options. It has to know the servers, as in { servers: "nats://127.0.0.1:4222" }.`,
    );
}

/**
 * Connects to the first server that answers. A connection lost later comes back by itself, for as
 * long as the process lives; nothing that was under way is repeated, except by whoever asked.
 * @throws {UnavailableError} When no server answers or accepts the credentials.
 * @throws {InvalidInputError} When an address or a credentials file cannot be used.
 * @throws {NotPermittedError} When the user may not receive replies under the prefix of inboxes.
 */
export async function connectNats(options: NatsOptions): Promise<NatsLink> {
  const servers = serverList(options.servers);
  const wanted = clientOptions(options, servers, authenticatorOf(options));
  let nc: NatsConnection;
  try {
    nc = await dial(wanted);
  } catch (cause) {
    throw firstConnectError(servers, cause);
  }
  learnServers(nc);
  const link = new Link(nc, options);
  try {
    await checkInbox(link, options.dialTimeoutMs ?? DIAL_TIMEOUT_MS);
  } catch (error) {
    await link.close();
    throw error;
  }
  return link;
}

/**
 * A link over a client's connection that is open already.
 * @internal
 */
export function linkOver(
  nc: NatsConnection,
  options: Pick<NatsOptions, "ackTimeoutMs" | "clock" | "inboxPrefix"> = {},
): NatsLink {
  return new Link(nc, options);
}

class Link implements NatsLink {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  readonly inboxPrefix: string;
  readonly publisher: Publisher;
  readonly reader: Reader;
  readonly requests: Requests;
  readonly #disconnected = new Listeners();
  readonly #reconnected = new Listeners();
  readonly #closed = new Listeners();
  readonly #forbidden = new Listeners<[string]>();
  #state: "connected" | "disconnected" | "closed" = "connected";
  #maxPayload = DEFAULT_MAX_PAYLOAD;
  #serverVersion = "";

  constructor(
    nc: NatsConnection,
    options: Pick<NatsOptions, "ackTimeoutMs" | "clock" | "inboxPrefix">,
  ) {
    this.nc = nc;
    this.clock = options.clock ?? systemClock;
    this.inboxPrefix = `${options.inboxPrefix ?? "_INBOX"}.${newId()}.`;
    hangUpAtEnd(nc);
    gatherWrites(nc);
    this.#noteServer();
    const { ackTimeoutMs } = options;
    this.publisher = new Publisher(this, ackTimeoutMs === undefined ? {} : { ackTimeoutMs });
    this.requests = new Requests(this);
    this.reader = new Reader(this.requests);
    void this.#follow(); // ends when the connection is closed
  }

  get isConnected(): boolean {
    return this.#state === "connected";
  }

  get maxPayload(): number {
    return this.#maxPayload;
  }

  get serverVersion(): string {
    return this.#serverVersion;
  }

  onDisconnect(listener: () => void): StopListening {
    return this.#disconnected.add(listener);
  }

  onReconnect(listener: () => void): StopListening {
    return this.#reconnected.add(listener);
  }

  onClose(listener: () => void): StopListening {
    return this.#closed.add(listener);
  }

  onForbidden(listener: (subject: string) => void): StopListening {
    return this.#forbidden.add(listener);
  }

  async close(): Promise<void> {
    this.#end();
    await this.nc.close();
  }

  async drain(): Promise<void> {
    if (this.#state === "connected") await this.publisher.idle();
    if (this.nc.isClosed() || this.nc.isDraining()) return this.close();
    // Draining sends a last ping, which nobody would answer.
    if (this.#state !== "connected") return this.close();
    await this.nc.drain().catch(() => this.close());
    this.#end();
  }

  async #follow(): Promise<void> {
    for await (const status of this.nc.status()) this.#note(status);
    this.#end();
  }

  #note(status: Status): void {
    if (status.type === "disconnect") this.#lose();
    else if (status.type === "reconnect") this.#find();
    else if (status.type === "staleConnection") hangUp(this.nc, "The server is silent.");
    else if (status.type === "error") this.#noteError(status.error);
  }

  #find(): void {
    if (this.#state !== "disconnected") return;
    this.#state = "connected";
    hangUpAtEnd(this.nc);
    gatherWrites(this.nc);
    this.#noteServer();
    this.#reconnected.call();
  }

  #lose(): void {
    if (this.#state !== "connected") return;
    this.#state = "disconnected";
    this.#disconnected.call();
  }

  #noteError(error: Error): void {
    if (error instanceof errors.PermissionViolationError && error.operation === "publish")
      this.#forbidden.call(error.subject);
  }

  #noteServer(): void {
    const { info } = this.nc;
    if (info === undefined) return;
    this.#maxPayload = info.max_payload;
    this.#serverVersion = info.version;
  }

  #end(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#closed.call();
  }
}

/**
 * From now on the client learns of the cluster's other servers. Not earlier: each server that refuses
 * a first connection names the others, which the client would then try again for ever.
 */
function learnServers(nc: NatsConnection): void {
  if (!(nc instanceof NatsConnectionImpl)) return;
  nc.protocol.options.ignoreClusterUpdates = false;
  if (nc.info) nc.protocol.servers.update(nc.info, nc.protocol.transport.isEncrypted());
}

function clientOptions(
  options: NatsOptions,
  servers: string[],
  authenticator: Authenticator | undefined,
): NodeConnectionOptions {
  return {
    servers,
    name: options.name ?? "contrail",
    ...credentialsOf(options, servers),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(options.tls || servers.some(isForTls) ? { tls: { ...options.tls } } : {}),
    inboxPrefix: options.inboxPrefix ?? "_INBOX",
    timeout: options.dialTimeoutMs ?? DIAL_TIMEOUT_MS,
    pingInterval: options.pingIntervalMs ?? PING_INTERVAL_MS,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_PAUSE_MS,
    // A server that forgot its users for a moment must not end a worker for good.
    ignoreAuthErrorAbort: true,
    ignoreClusterUpdates: true, // until it is connected
    noAsyncTraces: true,
  };
}

/** From the options, or else from the addresses. */
function credentialsOf(
  { user, pass, token }: NatsOptions,
  servers: readonly string[],
): { user?: string; pass?: string; token?: string } {
  if (user !== undefined) return { user, pass: pass ?? "" };
  return token === undefined ? credentialsIn(servers) : { token };
}

function authenticatorOf({ credsFile, nkey }: NatsOptions): Authenticator | undefined {
  if (credsFile !== undefined) {
    const creds = readSecret(credsFile);
    return usable(credsAuthenticator(creds), `credentials file "${credsFile}"`);
  }
  if (nkey === undefined) return undefined;
  const isSeed = nkey.startsWith("S");
  const seed = isSeed ? Buffer.from(nkey) : readSecret(nkey);
  const what = isSeed ? "nkey" : `nkey in the file "${nkey}"`;
  return usable(nkeyAuthenticator(Buffer.from(seed.toString().trim())), what);
}

/** Tries it out: with a server in between, what is no key looks like a server that is away. */
function usable(authenticator: Authenticator, what: string): Authenticator {
  try {
    authenticator("nonce");
    return authenticator;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInputError(`The ${what} cannot be used: ${reason}.`, { cause });
  }
}

function readSecret(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new InvalidInputError(`The credentials file "${file}" cannot be read.`, { cause, file });
  }
}

/**
 * Connects. A server gives up on who has not said within 2 s who they are, which a busy machine may not
 * let them: that is no refusal, and is tried again.
 */
async function dial(options: NodeConnectionOptions): Promise<NatsConnection> {
  for (let tries = 1; ; tries++)
    try {
      return await connect(options);
    } catch (error) {
      const isLate = error instanceof errors.AuthorizationError && /timeout/i.test(error.message);
      if (!isLate || tries === DIAL_TRIES) throw error;
    }
}

function firstConnectError(servers: string[], cause: unknown): UnavailableError {
  const names = servers.map(withoutSecrets);
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause);
  const denied = cause instanceof errors.AuthorizationError;
  const advice = denied
    ? "Check the user, password, token or credentials file."
    : "Start a nats-server with JetStream (`nats-server -js`), or set NATS_URL to the address of a running one.";
  return new UnavailableError(`Cannot connect to ${names.join(", ")}: ${reason}. ${advice}`, {
    cause,
    servers: names,
  });
}
