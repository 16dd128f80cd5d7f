/**
 * A worker of a test: the product's claims, passes and slots over a real connection, but the test
 * takes each token from the server for it, knows when it stands where, and lets it die or pause. A
 * process that dies sends nothing more; a process that is stopped sends it later.
 */

import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { DeliveredMessage } from "../../shared/jetstream/delivery.ts";
import type { Puller } from "../../shared/jetstream/puller.ts";
import type { Reader } from "../../shared/jetstream/reader.ts";
import type { LogSink } from "../../shared/logger.ts";
import type { ServerClock } from "../../shared/server-clock.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import type { Pool } from "../../shared/subjects.ts";
import { definitionOf } from "../../shared/task-definition.ts";
import type { AnyTask } from "../../shared/task-reference.ts";
import type { Claims } from "../../worker/claims.ts";
import type { HeldRuns } from "../../worker/held-runs.ts";
import type { SlotPool } from "../../worker/slots.ts";
import { TaskVersions } from "../../worker/task-versions.ts";
import { until } from "../helpers/until.ts";
import { type Barrier, Barriers } from "./barriers.ts";
import type { Build } from "./build.ts";
import { HandClock } from "./hand-clock.ts";
import { StaleReader } from "./stale-reader.ts";
import { Wiretap } from "./wiretap.ts";

/** How to make a worker. */
export interface HandWorkerOptions {
  readonly tasks: readonly AnyTask[];
  readonly slots?: number;
  readonly warmRuns?: number;
  /** What the server is said to accept, if less than it does. */
  readonly maxPayload?: number;
}

interface Parts extends HandWorkerOptions {
  readonly name: string;
  readonly build: Build;
  readonly link: NatsLink;
  readonly setup: NamespaceSetup;
}

/** How long a delivery that must come may take. */
const DELIVERY_MS = 60_000;

/** One worker. */
export class HandWorker {
  readonly name: string;
  readonly clock: HandClock;
  readonly tap: Wiretap;
  readonly reader: StaleReader;
  readonly serverClock: ServerClock;
  readonly held: HeldRuns;
  readonly pools: { readonly [P in Pool]: SlotPool };
  /** What it logged as a warning or an error. */
  readonly logged: string[] = [];
  isDead = false;
  readonly #barriers: Barriers;
  readonly #parts: Parts;
  readonly #claims: Claims;
  readonly #pullers = new Set<Puller>();

  constructor(parts: Parts) {
    const { name, build, link, setup, slots = 10, warmRuns = 0 } = parts;
    this.#parts = parts;
    this.name = name;
    this.clock = new HandClock();
    this.tap = new Wiretap(link, this.clock, parts.maxPayload);
    this.#barriers = new Barriers(name);
    const { wire } = this.tap;
    const requests = new build.requests.Requests(wire);
    this.reader = new StaleReader(new build.reader.Reader(requests));
    const reader = this.reader as unknown as Reader;
    const publisher = new build.publisher.Publisher(wire, { ackTimeoutMs: 300 });
    this.serverClock = new build.serverClock.ServerClock(() => this.clock.monotonic());
    const pool = (): SlotPool => new build.slots.SlotPool(slots, () => {});
    this.pools = { regular: pool(), durable: pool() };
    const workerLink = { publisher, reader, maxPayload: wire.maxPayload };
    const services = {
      link: workerLink,
      names: setup.names,
      workerId: `worker-${name}`,
      clock: this.clock,
      serverClock: () => this.serverClock,
      events: new build.eventsPosition.EventsPosition(reader, setup.names.eventsStream, () =>
        this.clock.monotonic(),
      ),
      log: this.#log(),
      undecodable: { note() {} },
      claimTimeoutMs: setup.claimTimeoutMs,
      failpoint: this.#barriers.failpoint,
      payloads: new build.payloads.Payloads(workerLink, { names: setup.names, clock: this.clock }),
    };
    this.held = new build.heldRuns.HeldRuns(services);
    const warm = new build.warmRuns.WarmRuns(warmRuns);
    this.#claims = new build.claims.Claims(services, this.held, warm);
  }

  /** Joins the consumer groups of its tasks and learns the server's clock. */
  async open(): Promise<void> {
    const { build, setup, tasks, link } = this.#parts;
    const { names, claimTimeoutMs } = setup;
    for (const { name: taskName } of tasks)
      await build.taskConsumer.ensureTaskConsumer(link.requests, {
        names,
        taskName,
        shard: 0,
        claimTimeoutMs,
      });
    const askedAt = this.clock.monotonic();
    const state = await this.reader.streamState(names.logStream(0));
    this.serverClock.learn(state?.answeredAtMs ?? 0, askedAt, this.clock.monotonic());
  }

  /** Stops whoever comes to this place of this worker for the `count`th time from now on. */
  at(place: string, count?: number): Barrier {
    return this.#barriers.at(place, count);
  }

  /** The places that were passed, of this name. */
  passed(place: string): number {
    return this.#barriers.passed.filter((name) => name === place).length;
  }

  /** Takes the next token of a task from the server; by default of its first task. */
  async take(taskName?: string): Promise<DeliveredMessage> {
    const token = await this.takeUnless(() => false, taskName);
    if (!token) throw new Error(`No token came for worker ${this.name}.`);
    return token;
  }

  /** The same, or nothing when the condition comes to hold before a token comes. */
  async takeUnless(
    condition: () => boolean | Promise<boolean>,
    taskName: string = this.#parts.tasks[0]?.name ?? "",
  ): Promise<DeliveredMessage | undefined> {
    let token: DeliveredMessage | undefined;
    let isOver = false;
    const puller = this.#openPuller(taskName);
    puller.request({
      batch: 1,
      expiresMs: DELIVERY_MS,
      onMessage: (message) => {
        token = message;
      },
      onEnd: () => {
        isOver = true;
      },
    });
    await until(async () => token ?? (isOver || (await condition())), {
      withinMs: DELIVERY_MS + 5_000,
      what: `a token for worker ${this.name}`,
    });
    await puller.close(); // what is on its way still comes
    this.#pullers.delete(puller);
    return token;
  }

  /** Handles a token, in a slot, as the product does. */
  handle(token: DeliveredMessage): Promise<void> {
    const { setup, tasks } = this.#parts;
    const run = setup.names.parse(token.subject);
    const task = tasks.find(({ name }) => name === run.taskName);
    if (!task) throw new Error(`Worker ${this.name} does not serve "${run.taskName}".`);
    const definition = definitionOf(task);
    const pool = this.pools[definition.kind];
    const slot = pool.tryAcquire(run, this.clock.now());
    if (!slot) throw new Error(`Worker ${this.name} has no free slot.`);
    return this.#claims.handle(
      token,
      { definition, versions: new TaskVersions([definition]), pool },
      slot,
    );
  }

  /** Begins to handle a token, until the barrier or the end; says which of the two. */
  async handleUntil(barrier: Barrier, token: DeliveredMessage): Promise<"stopped" | "done"> {
    let isDone = false;
    const handled = this.handle(token).then(() => {
      isDone = true;
    });
    await until(() => barrier.isReached || isDone, {
      withinMs: DELIVERY_MS,
      what: `worker ${this.name} has stopped or is done`,
    });
    if (!isDone) return "stopped";
    await handled;
    return "done";
  }

  /** Takes the next token and handles it. */
  async work(taskName?: string): Promise<void> {
    await this.handle(await this.take(taskName));
  }

  /** SIGKILL: nothing that it does from now on reaches anybody. */
  die(): void {
    this.isDead = true;
    this.tap.cut();
    this.clock.stop();
    this.held.close();
    for (const puller of this.#pullers) puller.discard();
  }

  /** Ends it with the test: its code is told to stop and its connection is closed. */
  async end(): Promise<void> {
    const { all } = this.held;
    this.die();
    for (const run of all) (run as unknown as { leave(): void }).leave();
    await this.#parts.link.close();
  }

  #openPuller(taskName: string): Puller {
    const { build, setup } = this.#parts;
    const { names } = setup;
    const consumer = names.taskConsumer(taskName);
    const stream = names.logStream(0);
    const puller = new build.puller.Puller(this.tap.wire, { stream, consumer });
    this.#pullers.add(puller);
    return puller;
  }

  #log(): LogSink {
    const note = (message: string): void => {
      this.logged.push(message);
    };
    return { debug: () => {}, info: () => {}, warn: note, error: note };
  }
}
