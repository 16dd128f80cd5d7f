/** The test kit: a server, an engine and a worker in memory, in a time that passes when the test waits. */
import { type Engine, engineOver } from "../engine/engine.ts";
import { type Client, clientOver, type StartOptions } from "../shared/client.ts";
import { idempotencyKey as idempotencyKeyOf } from "../shared/continuation.ts";
import {
  type DurationInput,
  type InstantInput,
  instantFromMs,
  type Temporal,
  toDurationMs,
  toInstantMs,
} from "../shared/durations.ts";
import { decodeCommit } from "../shared/entries.ts";
import type { Explanation } from "../shared/explain.ts";
import { historyText } from "../shared/history-file.ts";
import { type LogSink, silentLog } from "../shared/logger.ts";
import { MemoryWorld } from "../shared/memory/memory-world.ts";
import { checkFields } from "../shared/option-fields.ts";
import type { RepairOptions, RunRepairs } from "../shared/run-repairs.ts";
import type { RunView } from "../shared/run-view.ts";
import type { AnyTask, Task } from "../shared/task-reference.ts";
import { type Worker, workerOver } from "../worker/worker.ts";
import { Driver } from "./driver.ts";
import { TestKitError } from "./errors.ts";
import { OutsideWork } from "./outside-work.ts";
import { type ScriptedChild, type ScriptedStep, type Scripts, scriptedTasks } from "./scripts.ts";
import { type ExecutedStep, hooked, type StepHooks } from "./user-steps.ts";
import { type MayDie, WorkerProcess } from "./worker-process.ts";

/** What a kit is made with. */
export interface KitOptions {
  /** The tasks whose code runs. */
  readonly tasks: readonly AnyTask[];
  /**
   * What steps come to, by their names, instead of executing them; `"undo charge"` is the undo of step
   * `"charge"`. Steps that are not named are executed.
   */
  readonly steps?: Scripts<ScriptedStep>;
  /** What child runs come to, by the names of their tasks, instead of running those. */
  readonly children?: Scripts<ScriptedChild>;
  /** What the clock shows at first. @defaultValue The beginning of 2026. */
  readonly startAt?: InstantInput;
  /**
   * How many suspended runs keep their code in memory and go on without a replay.
   * @defaultValue 0: every wake-up replays, which shows code that is not the same each time.
   */
  readonly warmRuns?: number;
  /**
   * Real time, in milliseconds, that a step or a regular task may take before the kit's time passes it
   * by, so that its time limit can be over.
   * @defaultValue 1,000
   */
  readonly patienceMs?: number;
  /** Where log lines of tasks and worker go. @defaultValue Nowhere. */
  readonly log?: LogSink;
}

/** A run in a kit. Whatever is awaited here lets time pass. */
export interface TestRun<out Output = unknown> extends RunRepairs {
  readonly taskName: string;
  readonly runId: string;
  /**
   * Waits for the run to end and returns its output. Sleeps end at once when nothing else can happen.
   * @throws {RunFailedError} When the run failed; `cause` holds what its task threw.
   * @throws {RunCanceledError} When it was canceled.
   * @throws {TestKitError} When the run waits for what cannot happen: says for what.
   */
  result(): Promise<Output>;
  /** Asks to cancel the run. */
  cancel(why?: string | RepairOptions): Promise<void>;
  /** Ends the run without asking its code. */
  terminate(why?: string | RepairOptions): Promise<void>;
  /** What its log says. */
  view(): Promise<RunView>;
  /** Why it is where it is, in one sentence. */
  why(): Promise<string>;
  /** Its history as the text of a file: what `contrail export` writes and `contrail replay` reads. */
  history(): Promise<string>;
}

/** A world for tests of tasks. */
export interface TestKit {
  /** Attempts of steps that were begun, in this order. */
  readonly executed: readonly ExecutedStep[];
  /** What the kit's clock shows. */
  now(): Temporal.Instant;
  /** Starts a run. Without an id it is `run-1`, `run-2` and so on. */
  start<Input, Output>(
    task: Task<Input, Output>,
    ...args: undefined extends Input
      ? [input?: NoInfer<Input>, options?: StartOptions]
      : [input: NoInfer<Input>, options?: StartOptions]
  ): Promise<TestRun<Output>>;
  /** Starts a run and waits for its end, as `start` and `result` do. */
  run<Input, Output>(
    task: Task<Input, Output>,
    ...args: undefined extends Input
      ? [input?: NoInfer<Input>, options?: StartOptions]
      : [input: NoInfer<Input>, options?: StartOptions]
  ): Promise<Output>;
  /** A run that was started before, also by another run. */
  get<Output>(task: Task<never, Output>, runId: string): TestRun<Output>;
  get(taskName: string, runId: string): TestRun;
  /** Publishes an event. */
  publish(name: string, payload?: unknown): Promise<void>;
  /** Settles, then lets this much time pass, and everything happen that is due until then. */
  advance(duration: DurationInput): Promise<void>;
  /**
   * Lets happen what happens by itself: steps are executed, runs come to their next wait or end. About
   * a second passes, of up to ten that failing steps may need.
   */
  settle(): Promise<void>;
  /** Kills the worker now and starts another one, which takes its runs over. */
  crash(): Promise<void>;
  /** Frees what the kit holds. Safe to repeat, and to leave out. */
  close(): void;
}

/** Nothing is written for so long: everything that can happen by itself has happened. */
const SETTLED_MS = 1_000;
const SETTLE_WITHIN_MS = 10_000;
/** Longer than worker and engine pause by themselves while they have something to do. */
const QUIET_MS = 3_000;
const PATIENCE_MS = 1_000;
const CLAIM_TIMEOUT_MS = 2_000;
const FIELDS = ["tasks", "steps", "children", "startAt", "warmRuns", "patienceMs", "log"];

/**
 * Makes a world in memory in which tasks run as they do with a server: the same worker, engine and
 * client, over a server in memory. Takes milliseconds, whatever time passes in it.
 * @throws {InvalidInputError} When an option cannot be used.
 * @example
 * const kit = await testKit({ tasks: [fulfil], steps: { "reserve payment": { id: "p1" } } });
 * const run = await kit.start(fulfil, { id: "42" });
 * await kit.publish("order.approved", { orderId: "42" });
 * const output = await run.result();
 */
export function testKit(options: KitOptions): Promise<TestKit> {
  return MemoryKit.open(options, () => false);
}

/** A kit in which the worker dies where it is told to. */
export class MemoryKit implements TestKit {
  readonly executed: ExecutedStep[] = [];
  /** Steps that were begun although their results were stored before: there must be none. */
  readonly repeated: ExecutedStep[] = [];
  readonly #options: KitOptions;
  readonly #diesAt: MayDie;
  readonly #driver: Driver = new Driver();
  readonly #work: OutsideWork;
  readonly #hooks: StepHooks;
  readonly #world: MemoryWorld;
  #engine: Engine | undefined;
  #client: Client | undefined;
  #process: WorkerProcess | undefined;
  #processes = 0;
  #runs = 0;
  #failure: unknown;

  /** Opens a kit. @param diesAt Whether the worker dies at a place. */
  static async open(options: KitOptions, diesAt: MayDie): Promise<MemoryKit> {
    checkFields(options, "argument of testKit()", FIELDS);
    const kit = new MemoryKit(options, diesAt);
    await kit.#driver.settled(kit.#begin());
    return kit;
  }

  private constructor(options: KitOptions, diesAt: MayDie) {
    this.#options = options;
    this.#diesAt = diesAt;
    const { startAt, steps = {}, patienceMs = PATIENCE_MS } = options;
    this.#work = new OutsideWork(patienceMs);
    this.#world = new MemoryWorld({
      ...(startAt === undefined ? {} : { startMs: toInstantMs(startAt, "startAt") }),
      leapTo: this.#driver.leapTo,
      quietMs: QUIET_MS,
      outside: this.#work.waited,
    });
    this.#driver.world = this.#world;
    this.#hooks = {
      scripts: steps,
      work: this.#work,
      onStep: (step, idempotencyKey) => this.#noteStep(step, idempotencyKey),
    };
  }

  async #begin(): Promise<void> {
    const world = this.#world;
    this.#engine = await engineOver(async () => world.link("engine"), {
      clock: world.time,
      name: "engine",
      shards: 1,
      claimTimeoutMs: CLAIM_TIMEOUT_MS,
      keepEndedFor: "forever", // a test looks at its runs whatever time has passed
    });
    this.#client = clientOver(world.link("test"), this.#engine.setup.names, "test");
    await this.#spawn();
  }

  async #spawn(): Promise<Worker> {
    const { children = {}, warmRuns = 0, log = silentLog } = this.#options;
    const process = new WorkerProcess(`worker-${++this.#processes}`, this.#world, {
      diesAt: this.#diesAt,
      onDeath: () =>
        this.#world.time.after(0, () => {
          this.#spawn().catch((error: unknown) => {
            this.#failure = error;
          });
        }),
    });
    this.#process = process;
    const own = this.#options.tasks.filter(({ name }) => !Object.hasOwn(children, name));
    const tasks = [...own, ...scriptedTasks(children)];
    const { clock, name, failpoint } = process;
    return workerOver(async () => process.open(), {
      ...{ clock, name, failpoint, warmRuns, log },
      tasks: tasks.map((task) => hooked(task, process, this.#hooks)),
    });
  }

  now(): Temporal.Instant {
    return instantFromMs(Math.round(this.#world.time.now()));
  }

  async start(task: AnyTask, input?: unknown, options: StartOptions = {}): Promise<TestRun<never>> {
    const id = options.id ?? `run-${++this.#runs}`;
    const start = this.#connected.start(task as never, input as never, { ...options, id });
    const { taskName, runId } = await this.#drive(start);
    return this.#handle(taskName, runId) as TestRun<never>;
  }

  async run(task: AnyTask, input?: unknown, options?: StartOptions): Promise<never> {
    return (await this.start(task, input, options)).result();
  }

  get(task: AnyTask | string, runId: string): TestRun<never> {
    return this.#handle(typeof task === "string" ? task : task.name, runId) as TestRun<never>;
  }

  async publish(name: string, payload?: unknown): Promise<void> {
    await this.#drive(this.#connected.publish(name, payload));
  }

  async advance(duration: DurationInput): Promise<void> {
    const { time } = this.#world;
    await this.settle(); // what was started just now begins its waits before the time passes
    const target = time.monotonic() + toDurationMs(duration, "duration");
    const stop = time.after(target - time.monotonic(), () => {});
    await this.#driver.until(() => time.monotonic() >= target, target);
    stop();
    await this.#settleUntil(target + SETTLE_WITHIN_MS, 0);
  }

  async settle(): Promise<void> {
    await this.#settleUntil(this.#world.time.monotonic() + SETTLE_WITHIN_MS, SETTLED_MS);
  }

  /** Waits until nobody has written anything for a while. */
  async #settleUntil(latest: number, quietMs: number): Promise<void> {
    const { server, time } = this.#world;
    const isSettled = (): boolean => {
      const now = time.monotonic();
      return now >= latest || (server.isQuiet && now - server.activeAt >= quietMs);
    };
    await this.#driver.until(isSettled, latest);
  }

  async crash(): Promise<void> {
    const { time } = this.#world;
    this.#process?.die();
    const process = this.#process;
    await this.#driver.until(() => this.#process !== process, time.monotonic());
  }

  close(): void {
    this.#world.server.close();
  }

  #handle(taskName: string, runId: string): TestRun {
    const run = this.#connected.get(taskName, runId);
    return {
      taskName,
      runId,
      result: () => this.#result(run.result(), () => run.why()),
      cancel: (why) => this.#drive(run.cancel(why)),
      terminate: (why) => this.#drive(run.terminate(why)),
      resume: (how) => this.#drive(run.resume(how)),
      retry: (how) => this.#drive(run.retry(how)),
      skip: (step, result, how) => this.#drive(run.skip(step, result, how)),
      view: () => this.#drive(run.view()),
      why: async () => (await this.#drive(run.why())).sentence,
      history: async () => historyText(await this.#drive(run.history())),
    };
  }

  async #result<T>(result: Promise<T>, why: () => Promise<Explanation>): Promise<T> {
    try {
      return await this.#driver.settled(result);
    } catch (cause) {
      if (!(cause instanceof TestKitError)) throw cause;
      const { sentence } = await this.#drive(why());
      throw new TestKitError(
        `${sentence} Nothing in this test will bring that: publish events and advance the time before waiting for the result, and give the kit all tasks.`,
        { cause },
      );
    }
  }

  get #connected(): Client {
    if (this.#failure) throw this.#failure;
    return this.#client as Client;
  }

  #drive<T>(promise: Promise<T>): Promise<T> {
    return this.#work.call(this.#driver.settled(promise));
  }

  #noteStep(step: ExecutedStep, idempotencyKey: string): void {
    this.executed.push(step);
    if (this.#processes > 1 && this.#isStored(step, idempotencyKey)) this.repeated.push(step);
  }

  /** Whether the history holds the result of this step. */
  #isStored({ taskName, runId }: ExecutedStep, idempotencyKey: string): boolean {
    const { stream, prefix } = (this.#engine as Engine).setup.names.run({ taskName, runId });
    const store = this.#world.server.streams.get(stream)?.store;
    let histories = 0;
    return ["h", "c"].some((kind) =>
      (store?.sequencesOf(`${prefix}.${kind}`) ?? []).some((sequence) => {
        const data = store?.get(sequence)?.data ?? new Uint8Array(0);
        const { entries, startSequence } = decodeCommit(data, sequence, prefix);
        return entries.some((entry) => {
          if (entry.kind === "continued") histories = entry.count;
          if (entry.kind !== "step-completed" && entry.kind !== "step-failed") return false;
          const run = { taskName, runId, startSequence };
          return idempotencyKeyOf(run, entry.key, histories) === idempotencyKey;
        });
      }),
    );
  }
}
