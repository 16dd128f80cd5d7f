/** An engine process: it sets the namespace up, and leads it whenever no other engine does. */
import { hostname } from "node:os";
import { clientOver } from "../shared/client.ts";
import { type Clock, systemClock } from "../shared/clock.ts";
import { type Failpoint, failpointsFrom } from "../shared/failpoints.ts";
import {
  checkOptions,
  connectNats,
  type NatsLink,
  type NatsOptions,
} from "../shared/jetstream/connection.ts";
import { type LogSink, silentLog } from "../shared/logger.ts";
import type { NamespaceSetup } from "../shared/setup.ts";
import { UndecodableNotes } from "../shared/undecodable.ts";
import { apiService } from "./api.ts";
import { Lead } from "./lead.ts";
import type { MicroService } from "./micro-service.ts";
import type { EngineServices } from "./services.ts";
import { type SetupOptions, setupNamespace } from "./setup.ts";
import { Term, type TermStatus } from "./term.ts";

/** How to start an engine. */
export interface EngineOptions extends NatsOptions, SetupOptions {
  /** What people see in the lead's lease. @defaultValue The host's name and the process id. */
  readonly name?: string;
  /** Where log lines go: `console`, for instance. @defaultValue Nowhere. */
  readonly log?: LogSink;
}

/** What an engine does now. */
export interface EngineStatus {
  readonly name: string;
  readonly isLeading: boolean;
  /** What it knows; only while it leads. */
  readonly term?: TermStatus;
}

/** An engine that was started. */
export interface Engine {
  readonly name: string;
  readonly setup: NamespaceSetup;
  status(): EngineStatus;
  /** Gives the lead up at once and disconnects. Runs go on. Safe to repeat. */
  close(): Promise<void>;
}

/**
 * Sets the namespace up, or checks it, and starts an engine. Any number of processes may do so: one
 * of them leads, another takes over within about seven seconds when it dies, at once when it is
 * closed.
 * @throws {IncompatibleSetupError} When the server or what exists there does not fit.
 * @throws {InvalidInputError} When an option is out of its range.
 * @throws {UnavailableError} When no server answers.
 * @example
 * const engine = await startEngine({ servers: "127.0.0.1:4222" });
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  checkOptions(options, "startEngine()");
  return engineOver((name) => connectNats({ ...options, name }), options);
}

/**
 * Starts an engine over any connection, which it closes when it is closed.
 * @param open Opens the connection, under this name. Called once.
 * @internal
 */
export async function engineOver(
  open: (name: string) => Promise<NatsLink>,
  options: Omit<EngineOptions, "servers"> & { readonly failpoint?: Failpoint },
): Promise<Engine> {
  const name = options.name ?? `${hostname()}-${process.pid}`;
  const link = await open(`contrail engine ${name}`);
  try {
    const setup = await setupNamespace(link, options);
    return new RunningEngine({ link, setup, name, options });
  } catch (error) {
    await link.close();
    throw error;
  }
}

class RunningEngine implements Engine {
  readonly name: string;
  readonly setup: NamespaceSetup;
  readonly #link: NatsLink;
  readonly #lead: Lead;
  readonly #api: MicroService;
  #term: Term | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: {
    readonly link: NatsLink;
    readonly setup: NamespaceSetup;
    readonly name: string;
    readonly options: Parameters<typeof engineOver>[1];
  }) {
    const { link, setup, name, options } = parts;
    const { names } = setup;
    const clock: Clock = options.clock ?? systemClock;
    const log = options.log ?? silentLog;
    const failpoint = options.failpoint ?? failpointsFrom(process.env["CONTRAIL_FAILPOINTS"]);
    const undecodable = new UndecodableNotes({ link, names, clock, log, by: `engine ${name}` });
    const services = { link, names, clock, log, undecodable, failpoint };
    this.name = name;
    this.setup = setup;
    this.#link = link;
    this.#lead = new Lead({
      ...services,
      name,
      serve: (signal) => this.#serve({ ...services, signal }),
    });
    const client = clientOver(link, names, "api");
    this.#api = apiService({ ...services, client, name });
    this.#lead.start();
    this.#api.start();
  }

  status(): EngineStatus {
    const term = this.#term?.status;
    return { name: this.name, isLeading: this.#lead.isLeading, ...(term ? { term } : {}) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([this.#lead.close(), this.#api.stop()]);
    await this.#link.drain();
  }

  async #serve(services: EngineServices): Promise<void> {
    try {
      this.#term = await Term.begin(services);
      await this.#term.run();
    } finally {
      this.#term = undefined;
    }
  }
}
