/** A worker process: its connection, its consumer groups, its slots, and its life. */
import { hostname } from "node:os";
import { systemClock } from "../shared/clock.ts";
import { describe } from "../shared/describe.ts";
import { type DurationInput, toDurationMs, toTimeoutMs } from "../shared/durations.ts";
import { InvalidInputError } from "../shared/errors.ts";
import { EventsPosition } from "../shared/events-position.ts";
import { type Failpoint, failpointsFrom } from "../shared/failpoints.ts";
import { newId } from "../shared/ids.ts";
import {
  checkOptions,
  connectNats,
  type NatsLink,
  type NatsOptions,
} from "../shared/jetstream/connection.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import { Puller } from "../shared/jetstream/puller.ts";
import { ensureTaskConsumer } from "../shared/jetstream/task-consumer.ts";
import { WARM_RUNS } from "../shared/limits.ts";
import { type LogSink, silentLog } from "../shared/logger.ts";
import { Payloads } from "../shared/payloads.ts";
import { DEFAULT_NAMESPACE, type NamespaceSetup, readSetup } from "../shared/setup.ts";
import type { Pool, RunAddress } from "../shared/subjects.ts";
import { definitionOf } from "../shared/task-definition.ts";
import type { AnyTask } from "../shared/task-reference.ts";
import { UndecodableNotes } from "../shared/undecodable.ts";
import { Claims } from "./claims.ts";
import { tellForeignRuns } from "./foreign-runs.ts";
import { HeldRuns } from "./held-runs.ts";
import { Intake, type TokenSource } from "./intake.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { type WatchedWorker, watchLoop } from "./loop-watch.ts";
import type { Services } from "./services.ts";
import { ShardClocks } from "./shard-clocks.ts";
import { SlotPool } from "./slots.ts";
import { byName, type TaskVersions } from "./task-versions.ts";
import { WarmRuns } from "./warm-runs.ts";

/** How to start a worker. */
export interface WorkerOptions extends NatsOptions {
  /** The tasks whose runs this worker executes. Names must differ, or else versions. */
  readonly tasks: readonly AnyTask[];
  /**
   * How many runs it executes at once, in two separate pools: waiting durable runs hold no slot.
   * @defaultValue 100 regular and 1,000 durable slots.
   */
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  /** @defaultValue "contrail" */
  readonly namespace?: string;
  /**
   * What the worker's id begins with, for people who read leases and histories. Several workers may
   * have the same. Of other characters than letters, digits and `-` it keeps none; at most 24 count.
   * @defaultValue The host's name and the process id.
   */
  readonly name?: string;
  /**
   * Suspended runs whose code is kept in memory and goes on without replay when it is woken here.
   * @defaultValue 1,000; 0 keeps none.
   */
  readonly warmRuns?: number;
  /**
   * How long `close` lets running code come to its end or its next wait before its runs are handed
   * to other workers.
   * @defaultValue 10 seconds
   */
  readonly drainTimeout?: DurationInput;
  /**
   * Ends the process, with exit code 70, when its event loop has been blocked for so long, and its claims
   * are lost: by code that never comes back, such as an endless loop. A worker that is started anew is of
   * use again. It is said on stderr, with the place in the code; a debugger keeps it from happening.
   * @defaultValue Never: whatever else the process is for goes on, or something else looks after it.
   */
  readonly endWhenBlocked?: DurationInput;
  /**
   * Where log lines go, of the worker and of `ctx.log`: `console`, for instance.
   * @defaultValue Nowhere.
   */
  readonly log?: LogSink;
}

/** A worker that was started. */
export interface Worker {
  /** Its name and some random characters: unique. Leases and histories show it. */
  readonly id: string;
  /** Slots that are held, of each pool. */
  readonly busy: { readonly regular: number; readonly durable: number };
  /**
   * Takes no new runs, lets the running ones come to their end or their next wait within the drain
   * timeout, hands the rest to other workers, and disconnects. Waiting runs are left as they are.
   * Safe to repeat.
   */
  close(): Promise<void>;
  /** Resolves when the worker is closed. */
  readonly closed: Promise<void>;
}

/** A request for tokens is open for this share of the claim timeout, so that rule 7 can hold. */
const REQUEST_SHARE_OF_CLAIM = 0.4;
const DEFAULT_SLOTS: { readonly [P in Pool]: number } = { regular: 100, durable: 1_000 };
const MOST_SLOTS = 100_000;

/**
 * Starts a worker: connects, joins the consumer groups of its tasks, and executes their runs until
 * it is closed. The namespace must be set up, which an engine does.
 * @throws {InvalidInputError} When a task, a name or a number of slots cannot be used.
 * @throws {UnavailableError} When no server answers.
 * @throws {IncompatibleSetupError} When the namespace is not set up, or differently.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  checkOptions(options, "startWorker()");
  const { endWhenBlocked, log = silentLog } = options;
  const endAfterMs =
    endWhenBlocked === undefined ? undefined : toTimeoutMs(endWhenBlocked, "endWhenBlocked");
  return workerOver((name) => connectNats({ ...options, name }), {
    ...options,
    watch: (worker) => watchLoop({ ...worker, log, endAfterMs }),
  });
}

/** Watches the process of a worker. Returns what ends that. */
type Watch = (worker: Pick<WatchedWorker, "workerId" | "atWork" | "claimTimeoutMs">) => () => void;

/**
 * Starts a worker over any connection, which it closes when it is closed.
 * @param open Opens the connection, under this name. Called once.
 * @internal
 */
export async function workerOver(
  open: (name: string) => Promise<NatsLink>,
  options: Omit<WorkerOptions, "servers"> & {
    readonly failpoint?: Failpoint;
    readonly watch?: Watch;
  },
): Promise<Worker> {
  const tasks = checkTasks(options.tasks);
  const capacity = checkSlots(options.slots);
  const drainMs = toDurationMs(options.drainTimeout ?? "10s", "drainTimeout");
  const clock = options.clock ?? systemClock;
  const workerId = newWorkerId(options.name);
  const link = await open(`contrail worker ${workerId}`);
  try {
    const setup = await readSetup(link, options.namespace ?? DEFAULT_NAMESPACE);
    const clocks = await ShardClocks.start(link, setup, clock);
    const log = options.log ?? silentLog;
    const failpoint = options.failpoint ?? failpointsFrom(process.env["CONTRAIL_FAILPOINTS"]);
    const { names } = setup;
    const services: Services = {
      link,
      names,
      undecodable: new UndecodableNotes({ link, names, clock, log, by: `worker ${workerId}` }),
      workerId,
      clock,
      serverClock: (shard) => clocks.of(shard),
      events: new EventsPosition(link.reader, setup.names.eventsStream, () => clock.monotonic()),
      log,
      claimTimeoutMs: setup.claimTimeoutMs,
      failpoint,
      payloads: new Payloads(link, { names: setup.names, clock, failpoint }),
    };
    const worker = new RunningWorker({ link, setup, services, clocks, drainMs });
    try {
      await worker.open(tasks, capacity, options.warmRuns ?? WARM_RUNS);
    } catch (error) {
      await worker.close(); // its timers would keep the process alive
      throw error;
    }
    if (options.watch) worker.watch(options.watch);
    return worker;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Characters of a worker's name, or of its host's, that go into its id. */
const NAME_CHARACTERS = 24;

function newWorkerId(name: string | undefined): string {
  const clean = (text: string): string =>
    text.replace(/[^A-Za-z0-9]+/g, "-").slice(0, NAME_CHARACTERS);
  const prefix = name === undefined ? `${clean(hostname())}-${process.pid}` : clean(name);
  return `${prefix}-${newId().slice(0, 6)}`;
}

interface Parts {
  readonly link: NatsLink;
  readonly setup: NamespaceSetup;
  readonly services: Services;
  readonly clocks: ShardClocks;
  readonly drainMs: number;
}

class RunningWorker implements Worker {
  readonly id: string;
  readonly closed: Promise<void>;
  readonly #parts: Parts;
  readonly #held: HeldRuns;
  readonly #pools: Map<Pool, { slots: SlotPool; keeper: LeaseKeeper; intake: Intake }> = new Map();
  readonly #pullers: Puller[] = [];
  readonly #handling: Set<Promise<void>> = new Set();
  readonly #over: AbortController = new AbortController();
  #closing: Promise<void> | undefined;
  #markClosed: () => void = () => {};
  #stopWatch: () => void = () => {};

  constructor(parts: Parts) {
    this.#parts = parts;
    this.id = parts.services.workerId;
    this.#held = new HeldRuns(parts.services);
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
  }

  get busy(): { readonly regular: number; readonly durable: number } {
    const held = (pool: Pool): number => this.#pools.get(pool)?.slots.held.length ?? 0;
    return { regular: held("regular"), durable: held("durable") };
  }

  async open(
    tasks: readonly TaskVersions[],
    capacity: { readonly [P in Pool]: number },
    warmRuns: number,
  ): Promise<void> {
    const claims = new Claims(this.#parts.services, this.#held, new WarmRuns(warmRuns));
    for (const pool of ["regular", "durable"] as const)
      await this.#openPool(pool, capacity[pool], claims, tasks);
    this.#followCancels();
    for (const { intake } of this.#pools.values()) intake.open();
    const { link, services, setup } = this.#parts;
    const { signal } = this.#over;
    for (const versions of tasks)
      if (versions.hasVersions)
        void tellForeignRuns({ link, log: services.log, setup, versions, signal }).catch(
          (error: unknown) => {
            // It is only told: whatever is wrong shows where runs are claimed.
            services.log.debug("Waiting runs could not be looked through.", { error });
          },
        );
  }

  /** Lets the process be watched for as long as the worker is open. */
  watch(watch: Watch): void {
    const atWork = (): string[] =>
      [...this.#pools.values()].flatMap(({ slots }) =>
        slots.held.map(({ taskName, runId }) => `${taskName}/${runId}`),
      );
    const { claimTimeoutMs } = this.#parts.setup;
    this.#stopWatch = watch({ workerId: this.id, atWork, claimTimeoutMs });
  }

  /** The live feed brings requests to cancel at once; the regular looks find what it loses. */
  #followCancels(): void {
    const { link, setup } = this.#parts;
    link.nc.subscribe(setup.names.everyLive("cancel"), {
      callback: (error, message) => {
        if (error !== null || this.#held.size === 0) return;
        const [taskToken, runToken] = message.subject.split(".").slice(-3);
        if (taskToken === undefined || runToken === undefined) return;
        const { prefix } = setup.names.runOfTokens(taskToken, runToken);
        this.#held.noteCancel(`${prefix}.cancel`, message.data);
      },
    });
  }

  async #openPool(
    pool: Pool,
    capacity: number,
    claims: Claims,
    tasks: readonly TaskVersions[],
  ): Promise<void> {
    const { services, setup, link } = this.#parts;
    const { clock, log, workerId, names } = services;
    const parts: { intake?: Intake; keeper?: LeaseKeeper } = {};
    const slots = new SlotPool(capacity, () => {
      parts.keeper?.changed();
      parts.intake?.fill();
    });
    const served = tasks.filter(({ newest }) => newest.kind === pool);
    const sources = await Promise.all(
      served.flatMap((versions) =>
        Array.from({ length: setup.shardCount }, (_, shard) =>
          this.#source(versions, shard, slots, claims),
        ),
      ),
    );
    const expiresMs = Math.max(500, setup.claimTimeoutMs * REQUEST_SHARE_OF_CLAIM);
    const intake = new Intake({ pool: slots, clock, log, expiresMs }, sources);
    const { claimTimeoutMs } = setup;
    const { publisher } = link;
    const keeper = new LeaseKeeper(
      { publisher, names, clock, log, workerId, host: hostname(), claimTimeoutMs },
      pool,
      slots,
    );
    Object.assign(parts, { intake, keeper });
    this.#pools.set(pool, { slots, keeper, intake });
  }

  async #source(
    versions: TaskVersions,
    shard: number,
    pool: SlotPool,
    claims: Claims,
  ): Promise<TokenSource> {
    const { link, setup, services } = this.#parts;
    const { names, claimTimeoutMs } = setup;
    const definition = versions.newest;
    const consumer = { names, taskName: definition.name, shard, claimTimeoutMs };
    const restore = async (): Promise<void> => {
      await ensureTaskConsumer(link.requests, consumer);
    };
    await restore();
    const stream = names.logStream(shard);
    const puller = new Puller(link, { stream, consumer: names.taskConsumer(definition.name) });
    this.#pullers.push(puller);
    return {
      name: `${definition.name}, shard ${shard}`,
      puller,
      runOf: (token) => runOf(services, token),
      restore,
      onToken: (token, slot) => {
        const handled = claims
          .handle(token, { definition, versions, pool }, slot)
          .finally(() => this.#handling.delete(handled));
        this.#handling.add(handled);
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { services, link, clocks, drainMs } = this.#parts;
    for (const { intake } of this.#pools.values()) intake.close();
    this.#over.abort();
    await Promise.all(this.#pullers.map((puller) => puller.close()));
    let stopTimer: () => void = () => {};
    const timeout = new Promise<void>((resolve) => {
      stopTimer = services.clock.after(drainMs, resolve);
    });
    await Promise.race([Promise.allSettled([...this.#handling]), timeout]);
    stopTimer();
    for (const run of this.#held.all) run.onHandOver();
    this.#held.close();
    clocks.close();
    await Promise.all([...this.#pools.values()].map(({ keeper }) => keeper.close()));
    this.#stopWatch();
    await link.drain();
    this.#markClosed();
  }
}

/** Whose token it is. One that is nobody's is dropped. */
function runOf({ names, undecodable }: Services, token: DeliveredMessage): RunAddress {
  const { subject, streamSequence: sequence } = token;
  try {
    return names.parse(subject);
  } catch (error) {
    const problem = (error as Error).message;
    undecodable.note({ subject, sequence, problem, fate: "It was dropped." });
    throw error;
  }
}

function checkTasks(tasks: readonly AnyTask[]): TaskVersions[] {
  if (!Array.isArray(tasks) || tasks.length === 0)
    throw new InvalidInputError(
      `A worker got ${describe(tasks)} as tasks. Expected a list of one or more tasks made by task() or durableTask().`,
      { value: tasks },
    );
  return byName(tasks.map((task: AnyTask) => definitionOf(task)));
}

function checkSlots(slots: WorkerOptions["slots"] = {}): { readonly [P in Pool]: number } {
  const check = (pool: Pool): number => {
    const count = slots[pool] ?? DEFAULT_SLOTS[pool];
    if (!Number.isInteger(count) || count < 0 || count > MOST_SLOTS)
      throw new InvalidInputError(
        `A worker got ${describe(count)} as its number of ${pool} slots. Expected a whole number from 0 to ${MOST_SLOTS}.`,
        { value: count },
      );
    return count;
  };
  return { regular: check("regular"), durable: check("durable") };
}
