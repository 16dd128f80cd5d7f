/** Plays a run of one version of its code up to a point, and of another from there, in memory. */
import { type Engine, engineOver } from "../../engine/engine.ts";
import { setupNamespace } from "../../engine/setup.ts";
import { type Client, clientOver, type RunHandle } from "../../shared/client.ts";
import type { DurableContext } from "../../shared/contexts.ts";
import type { DivergenceDetails } from "../../shared/divergence.ts";
import type { MemoryLink } from "../../shared/jetstream/memory-link.ts";
import type { LogSink } from "../../shared/logger.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import type { RunView } from "../../shared/run-view.ts";
import { durableTask, task } from "../../shared/task.ts";
import type { AnyTask, Task } from "../../shared/task-reference.ts";
import { type Worker, workerOver } from "../../worker/worker.ts";

/** What the code of a version is given besides its context. */
export interface Tools {
  /** An action of a step: notes that it was executed, and returns its name. */
  readonly act: (name: string) => () => string;
  /** An action that never ends: the worker dies in it. */
  readonly die: () => Promise<never>;
  readonly pack: Task<string, string>;
  readonly ship: Task<string, string>;
}

/** The function of a task in one version. */
export type Code = (ctx: DurableContext, tools: Tools) => unknown;

/** What became of a run. */
export interface Outcome {
  readonly view: RunView;
  /** What the first version executed, and what the second did. */
  readonly first: readonly string[];
  readonly second: readonly string[];
  readonly details: DivergenceDetails | undefined;
}

const underWay = new Set<Promise<void>>();

/** Work that Node does elsewhere: time in memory waits for it, on however busy a machine. */
export async function elsewhere<T>(work: Promise<T>): Promise<T> {
  const over = work.then(
    () => {},
    () => {}, // told to whoever awaits the work
  );
  underWay.add(over);
  void over.then(() => underWay.delete(over));
  return work;
}

const packTask = (name: string) => task({ name, run: async (input: string) => `${name} ${input}` });

const CLAIM_TIMEOUT_MS = 2_000;

/** A world in memory with an engine, a client, and workers as a test wants them. */
export class CodeWorld {
  readonly world: MemoryWorld;
  readonly client: Client;
  readonly #links: Map<Worker, MemoryLink> = new Map();
  readonly #engine: Engine;
  /** Lines that workers logged as warnings or errors. */
  readonly lines: string[] = [];

  private constructor(client: Client, world: MemoryWorld, engine: Engine) {
    this.client = client;
    this.world = world;
    this.#engine = engine;
  }

  /** Runs `play` in a world of its own. */
  static async play<T>(play: (world: CodeWorld) => Promise<T>): Promise<T> {
    const world = new MemoryWorld({ outside: () => [...underWay][0] });
    const link = world.link("client");
    const claims = { shards: 1, claimTimeoutMs: CLAIM_TIMEOUT_MS };
    const setup = await world.run(setupNamespace(link, claims));
    const opened = engineOver(async (name) => world.link(name), { clock: world.time, ...claims });
    const engine = await world.run(opened);
    const code = new CodeWorld(clientOver(link, setup.names, "client"), world, engine);
    try {
      return await world.run(play(code));
    } finally {
      await world.run(code.close());
      world.server.close();
    }
  }

  async startWorker(tasks: readonly AnyTask[]): Promise<Worker> {
    const links: MemoryLink[] = [];
    const open = async (name: string): Promise<MemoryLink> => {
      links.push(this.world.link(name));
      return links[0] as MemoryLink;
    };
    const keep = (message: string): void => {
      this.lines.push(message);
    };
    const log: LogSink = { debug() {}, info: keep, warn: keep, error: keep };
    const worker = await workerOver(open, { tasks, clock: this.world.time, log });
    this.#links.set(worker, links[0] as MemoryLink);
    return worker;
  }

  /** kill -9. */
  kill(worker: Worker): void {
    this.#links.get(worker)?.connection.kill();
    this.#links.delete(worker);
  }

  async stop(worker: Worker): Promise<void> {
    this.#links.delete(worker);
    await worker.close();
  }

  /** Polls until there is something. */
  async until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    for (let i = 0; i < 100_000; i++) {
      const found = await look();
      if (found !== undefined) return found;
      await this.pause(50);
    }
    throw new Error("It has never come about.");
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.time.after(ms, resolve);
    });
  }

  /** The run once it has one of these statuses. */
  untilStatus(run: RunHandle, ...statuses: readonly string[]): Promise<RunView> {
    return this.until(async () => {
      const view = await run.view();
      return statuses.includes(view.state.status) ? view : undefined;
    });
  }

  async close(): Promise<void> {
    for (const worker of [...this.#links.keys()]) await this.stop(worker);
    await this.#engine.close();
  }
}

/** How a change of code is played. */
export interface Play {
  readonly before: Code;
  readonly after: Code;
  /** The task is regular in that version. */
  readonly isRegular?: { readonly before?: boolean; readonly after?: boolean };
  /** Published when the second version is at work. */
  readonly events?: readonly (readonly [name: string, payload: unknown])[];
}

/** Plays the first version until the run waits or its worker dies, then the second one. */
export function playChange({ before, after, isRegular = {}, events = [] }: Play): Promise<Outcome> {
  return CodeWorld.play(async (world) => {
    const first: string[] = [];
    const second: string[] = [];
    let isDead = false;
    const toolsOf = (effects: string[]): Tools => ({
      act: (name) => () => {
        effects.push(name);
        return name;
      },
      die: () => {
        isDead = true;
        return new Promise(() => {});
      },
      pack: packTask("pack"),
      ship: packTask("ship"),
    });
    const make = (code: Code, effects: string[], regular = false): AnyTask[] => {
      const tools = toolsOf(effects);
      const run = (_: undefined, ctx: unknown) => code(ctx as DurableContext, tools);
      const made = regular
        ? task({ name: "job", run: run as never })
        : durableTask({ name: "job", run: run as never });
      return [made, tools.pack, tools.ship];
    };
    const tasks = make(before, first, isRegular.before);
    const worker = await world.startWorker(tasks);
    const run = await world.client.start(tasks[0] as never, undefined as never, { id: "r" });
    await world.until(async () => {
      if (isDead) return true;
      return (await run.view()).state.status === "waiting" || undefined;
    });
    if (isDead) world.kill(worker);
    else await world.stop(worker);
    await world.startWorker(make(after, second, isRegular.after));
    for (const [name, payload] of events) await world.client.publish(name, payload);
    const view = await world.untilStatus(run, "completed", "failed", "paused");
    const details = view.state.paused?.details as DivergenceDetails | undefined;
    return { view, first, second, details };
  });
}
