/**
 * A world of workers, engines and one client around a server in memory, in which one seed decides
 * everything: how long messages take, what goes wrong, and who dies at which write.
 */
import { createHash } from "node:crypto";
import { type Engine, engineOver } from "../../../engine/engine.ts";
import { setupNamespace } from "../../../engine/setup.ts";
import { type Client, clientOver } from "../../../shared/client.ts";
import { decodeCommit, type StoredCommit } from "../../../shared/entries.ts";
import { type RandomSource, seededRandom, seedIds } from "../../../shared/ids.ts";
import type { MemoryLink } from "../../../shared/jetstream/memory-link.ts";
import { parseLease } from "../../../shared/leases.ts";
import { type FaultRates, SeededFaults } from "../../../shared/memory/faults.ts";
import type { ServerEvent } from "../../../shared/memory/memory-server.ts";
import { MemoryWorld } from "../../../shared/memory/memory-world.ts";
import { ProcessClock } from "../../../shared/memory/process-clock.ts";
import { EVENTS_PREFIX, type Names, type RunAddress } from "../../../shared/subjects.ts";
import type { AnyTask } from "../../../shared/task-reference.ts";
import { type Worker, workerOver } from "../../../worker/worker.ts";
import { sightings } from "./sightings.ts";

/** What a simulation is made of. Rates are from 0 to 1. */
export interface Plan {
  readonly seed: string;
  readonly workers: number;
  /** Without one the client sets the namespace up. */
  readonly engines: number;
  /** How likely a process dies at each of its writes, and at each of the places where it may. */
  readonly dies?: number;
  /** How many deaths there are at the most. */
  readonly deaths?: number;
  /** The one place where a process dies, of all places in the order in which they are reached. */
  readonly diesAt?: number;
  readonly faults: FaultRates;
  /** How often a second something happens to the servers, to connections, to processes. */
  readonly incidents?: number;
  /** From then on nothing goes wrong any more. Default after 20 s. */
  readonly healsAfterMs?: number;
  readonly shards?: number;
}

/** The tasks as one process has them: what they do is only done while the process lives. */
export type TasksOf = (process: Process) => readonly AnyTask[];

/** A death. It ends nothing but the process. */
const NEVER = new Promise<never>(() => {});
const NOTHING = new Uint8Array(0);
const CLAIM_TIMEOUT_MS = 2_000;
const HEALS_AFTER_MS = 20_000;
/** Messages to subjects that begin so are no writes, or of no account to any run. */
const NO_WRITES = ["$JS.API.", "$KV."];

/** One process of the simulation. */
export class Process {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly #simulation: Simulation;
  #link: MemoryLink | undefined;

  constructor(simulation: Simulation, name: string) {
    this.name = name;
    this.#simulation = simulation;
    const aheadMs = Math.floor((simulation.random() - 0.5) * 7_200_000);
    this.clock = new ProcessClock(simulation.world.time, aheadMs);
  }

  get isAlive(): boolean {
    return !this.clock.isEnded;
  }

  /** Connects it. Each write is a chance to die, before it or after it. */
  open(): MemoryLink {
    const link = this.#simulation.world.link(this.name, this.clock);
    const { connection } = link;
    const publish = connection.publish.bind(connection);
    connection.publish = (message) => {
      const isWrite = !NO_WRITES.some((start) => message.subject.startsWith(start));
      if (isWrite && this.#simulation.diesHere(this)) this.die();
      publish(message);
      if (isWrite && this.#simulation.diesHere(this)) this.die();
    };
    this.#link = link;
    return link;
  }

  /** A place in the code where it may die. */
  readonly failpoint = (name: string): Promise<void> | undefined => {
    if (!this.isAlive) return NEVER;
    if (!this.#simulation.diesHere(this)) return undefined;
    this.#simulation.note(`dies at ${name}`, this.name, 0);
    this.die();
    return NEVER;
  };

  /** kill -9. */
  die(): void {
    if (!this.isAlive) return;
    this.clock.end();
    this.#link?.connection.kill();
    this.#simulation.noteDeath(this);
  }

  /** SIGSTOP, and SIGCONT after a while. */
  stopFor(ms: number): void {
    this.clock.stop();
    this.#link?.connection.pause();
    this.#simulation.world.time.after(ms, () => {
      this.#link?.connection.resume();
      this.clock.resume();
    });
  }

  /** Its connection breaks, and comes back. */
  breakConnection(noticedAfterMs: number, backAfterMs: number): void {
    this.#link?.connection.break({ noticedAfterMs, backAfterMs });
  }
}

/** A world with everything in it. */
export class Simulation {
  readonly world: MemoryWorld;
  readonly random: RandomSource;
  readonly faults: SeededFaults;
  readonly client: Client;
  readonly names: Names;
  /** How many callers have something to ask still: days do not pass for them. */
  asking = 0;
  readonly #plan: Plan;
  readonly #tasksOf: TasksOf;
  readonly #trace = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #living: Set<Process> = new Set();
  #deaths = 0;
  #places = 0;
  #spawned = 0;
  #isHealed = false;

  /** Opens a world, plays `play` in it, and closes it. */
  static async play<T>(
    plan: Plan,
    tasksOf: TasksOf,
    play: (simulation: Simulation) => Promise<T>,
  ): Promise<T> {
    const restoreIds = seedIds(plan.seed);
    try {
      const simulation = await Simulation.#open(plan, tasksOf);
      try {
        return await play(simulation);
      } finally {
        simulation.world.server.close();
      }
    } finally {
      restoreIds();
    }
  }

  static async #open(plan: Plan, tasksOf: TasksOf): Promise<Simulation> {
    const random = seededRandom(plan.seed);
    const faults = new SeededFaults(seededRandom(`${plan.seed} faults`), plan.faults);
    const tracer: { note?: (event: ServerEvent) => void; mayLeap?: () => boolean } = {};
    const world = new MemoryWorld({
      faults,
      onEvent: (event) => tracer.note?.(event),
      mayLeap: () => tracer.mayLeap?.() ?? true,
    });
    const link = world.link("client");
    const { shards = 1 } = plan;
    const setup = await world.run(
      setupNamespace(link, { shards, claimTimeoutMs: CLAIM_TIMEOUT_MS }),
    );
    const client = clientOver(link, setup.names, "client");
    const simulation = new Simulation({
      plan,
      tasksOf,
      world,
      random,
      faults,
      client,
      names: setup.names,
    });
    tracer.note = ({ what, subject, number, client: by = "" }) =>
      simulation.note(what, `${by} ${subject}`, number);
    tracer.mayLeap = () => simulation.asking === 0;
    simulation.#begin();
    return simulation;
  }

  private constructor(parts: {
    plan: Plan;
    tasksOf: TasksOf;
    world: MemoryWorld;
    random: RandomSource;
    faults: SeededFaults;
    client: Client;
    names: Names;
  }) {
    this.#plan = parts.plan;
    this.#tasksOf = parts.tasksOf;
    this.world = parts.world;
    this.random = parts.random;
    this.faults = parts.faults;
    this.client = parts.client;
    this.names = parts.names;
  }

  /** A hash of everything that happened so far. */
  get traceHash(): string {
    return this.#trace.copy().digest("hex");
  }

  /** What happened last, for people. */
  get lastLines(): readonly string[] {
    return this.#lines.slice(-200);
  }

  get deaths(): number {
    return this.#deaths;
  }

  /** Writes something into the trace. */
  note(what: string, subject: string, number: number): void {
    sightings.note(what, number);
    const line = `${this.world.time.monotonic().toFixed(3)} ${what} ${subject} ${number}`;
    this.#trace.update(`${line}\n`);
    this.#lines.push(line);
  }

  /** How many places there were where a process could die: before and after each write, and others. */
  get places(): number {
    return this.#places;
  }

  /** Whether a process dies now. */
  diesHere(process: Process): boolean {
    const { dies = 0, deaths = Number.POSITIVE_INFINITY, diesAt } = this.#plan;
    if (!process.isAlive) return false;
    const place = this.#places++;
    if (diesAt !== undefined) return place === diesAt;
    if (this.#isHealed || dies === 0 || this.#deaths >= deaths) return false;
    return this.random() < dies;
  }

  noteDeath(process: Process): void {
    this.#deaths++;
    this.#living.delete(process);
    this.note("death", process.name, this.#deaths);
    const kind = process.name.startsWith("engine") ? "engine" : "worker";
    this.world.time.after(this.random() * 3_000, () => this.#spawn(kind));
  }

  /** Everything that is stored for a run, as the stream's leader has it. */
  commitsOf(address: RunAddress): readonly StoredCommit[] {
    const { stream, prefix } = this.names.run(address);
    const store = this.world.server.streams.get(stream)?.store;
    return ["h", "c"].flatMap((kind) =>
      (store?.sequencesOf(`${prefix}.${kind}`) ?? []).map((sequence) =>
        decodeCommit(store?.get(sequence)?.data ?? NOTHING, sequence, prefix),
      ),
    );
  }

  /** How many tokens were published for a run besides its start. */
  tokensOf(address: RunAddress): number {
    const { stream, prefix } = this.names.run(address);
    const store = this.world.server.streams.get(stream)?.store;
    return store?.sequencesOf(`${prefix}.token.ready`).length ?? 0;
  }

  /** How many runs, children included, are paused. */
  get pausedRuns(): number {
    let paused = 0;
    for (const { store } of this.world.server.streams.values())
      for (const subject of [
        ...store.subjects("*.log.*.*.*.h"),
        ...store.subjects("*.log.*.*.*.c"),
      ]) {
        const sequence = store.sequencesOf(subject).at(-1) ?? 0;
        const { entries } = decodeCommit(store.get(sequence)?.data ?? NOTHING, sequence, subject);
        if (entries.at(-1)?.kind === "paused") paused++;
      }
    return paused;
  }

  /** Sequences of the first events of one name. */
  firstEvents(name: string, count: number): readonly number[] {
    const store = this.world.server.streams.get(this.names.eventsStream)?.store;
    return (store?.sequencesOf(EVENTS_PREFIX + name) ?? []).slice(0, count);
  }

  /** Runs that hold a slot, by the lease records of all workers. */
  get heldSlots(): readonly string[] {
    return (["regular", "durable"] as const).flatMap((pool) => {
      const store = this.world.server.streams.get(`KV_${this.names.slotsBucket(pool)}`)?.store;
      return (store?.subjects(">") ?? []).flatMap((subject) => {
        const last = store?.get(store.sequencesOf(subject).at(-1) ?? 0);
        return parseLease(last?.data ?? NOTHING)?.held.map(({ run }) => run) ?? [];
      });
    });
  }

  /** Tokens that nobody has acknowledged, by the consumers of all tasks. */
  get openTokens(): number {
    let open = 0;
    for (const { consumers } of this.world.server.streams.values())
      for (const [name, consumer] of consumers) {
        if (!name.startsWith("task-")) continue;
        const { num_pending: unseen } = consumer.info() as { num_pending: number };
        open += consumer.unacknowledged.count + unseen;
      }
    return open;
  }

  #begin(): void {
    const { workers, engines, incidents = 0, healsAfterMs = HEALS_AFTER_MS } = this.#plan;
    for (let i = 0; i < engines; i++) this.#spawn("engine");
    for (let i = 0; i < workers; i++) this.#spawn("worker");
    if (incidents > 0) this.#scheduleIncident(incidents);
    if (!Number.isFinite(healsAfterMs)) return;
    this.world.time.after(healsAfterMs, () => {
      this.#isHealed = true;
      this.faults.heal();
      this.note("healed", "", 0);
    });
  }

  #spawn(kind: "worker" | "engine"): void {
    const process = new Process(this, `${kind}-${this.#spawned++}`);
    this.#living.add(process);
    const { clock, name, failpoint } = process;
    const options = { clock, name, failpoint };
    const { shards = 1 } = this.#plan;
    const started: Promise<Worker | Engine> =
      kind === "worker"
        ? workerOver(async () => process.open(), { ...options, tasks: this.#tasksOf(process) })
        : engineOver(async () => process.open(), {
            ...options,
            shards,
            claimTimeoutMs: CLAIM_TIMEOUT_MS,
          });
    // A process that cannot start ends, as it would for whoever runs it, and is started again.
    started.catch(() => process.die());
  }

  #scheduleIncident(perSecond: number): void {
    const { time } = this.world;
    const pauseMs = (-Math.log(1 - this.random()) / perSecond) * 1_000;
    time.after(pauseMs, () => {
      if (this.#isHealed) return;
      this.#happen();
      this.#scheduleIncident(perSecond);
    });
  }

  /** Something happens to a server, a connection or a process. */
  #happen(): void {
    const { server } = this.world;
    const living = [...this.#living];
    const one = living[Math.floor(this.random() * living.length)];
    const ms = Math.floor(this.random() * CLAIM_TIMEOUT_MS * 2);
    const kinds = ["restart", "leader", "break", "stop", "again"] as const;
    const kind = kinds[Math.floor(this.random() * kinds.length)];
    this.note(`incident ${kind}`, one?.name ?? "", ms);
    if (kind === "restart") server.restart({ forMs: ms });
    if (kind === "leader") server.changeLeader({ forMs: ms });
    if (kind === "break") one?.breakConnection(ms / 4, ms);
    if (kind === "stop") one?.stopFor(ms);
    if (kind === "again") this.#deliverAgain();
  }

  /** A message is delivered to somebody else although it is held. */
  #deliverAgain(): void {
    for (const { consumers } of this.world.server.streams.values())
      for (const consumer of consumers.values())
        for (const sequence of consumer.unacknowledged.sequences)
          if (this.random() < 0.5) consumer.deliverAgain(sequence);
  }
}
