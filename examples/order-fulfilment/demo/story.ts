/** What happens in the demo: one order with all its events, then orders that wait for yours. */
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import {
  type Client,
  durationText,
  type RunHandle,
  RunNotFoundError,
  type RunView,
  timelineOf,
} from "contrail";
import type { OutputOf } from "contrail/task";
import { fulfil, type Order } from "../tasks.ts";
import type { Cluster } from "./cluster.ts";
import { Narrator } from "./narrator.ts";
import type { Processes, RoleProcess } from "./processes.ts";
import type { Screen } from "./screen.ts";

/** What a story needs. */
export interface StoryParts {
  readonly client: Client;
  readonly cluster: Cluster;
  readonly processes: Processes;
  readonly workers: readonly RoleProcess[];
  readonly screen: Screen;
  /** Aborts when the demo should end. */
  readonly signal: AbortSignal;
}

type OrderRun = RunHandle<OutputOf<typeof fulfil>>;

/** A run that waits, seen when it had just given its slot back. */
interface Waiting {
  readonly run: OrderRun;
  readonly order: Order;
  readonly view: RunView;
  /** The event it waits for, if it waits for one. */
  readonly event: string | undefined;
}

const FIRST_ORDER = 42;
const SKUS = ["tea", "cup", "jam"];
const HOLD_FOR = "3s";
/** Lease records say what is so within some tens of milliseconds. */
const LEASES_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 25;

/** Tells one order after the other. */
export class Story {
  readonly #parts: StoryParts;
  readonly #workers: Map<string, RoleProcess> = new Map();
  #nextNumber = FIRST_ORDER;
  #publishNext: (() => Promise<void>) | undefined;

  constructor(parts: StoryParts) {
    this.#parts = parts;
    for (const worker of parts.workers) this.#workers.set(worker.id, worker);
  }

  /** An order to its end. A worker dies on the way. What nobody does for `patienceMs`, this does. */
  async firstOrder({ patienceMs }: { readonly patienceMs: number }): Promise<void> {
    let isFirst = true;
    await this.#tellNext(async (waiting) => {
      if (isFirst) await this.#killWorkerOf(waiting);
      isFirst = false;
      await this.#publishAfter(patienceMs, waiting);
    });
  }

  /** Orders that wait for what somebody types, one after the other, until the demo ends. */
  async moreOrders(): Promise<never> {
    const { cluster, screen } = this.#parts;
    const { natsOptions: at } = cluster;
    const done = `order-${this.#nextNumber}`;
    let isFirst = true;
    for (;;)
      await this.#tellNext(async ({ run, event, order }) => {
        if (event === undefined) return;
        screen.aside(`Your turn: type this in another terminal${this.#orEnter()}.`, "good");
        screen.command(this.#command(event, order));
        if (!isFirst) return;
        isFirst = false;
        screen.aside("Look around there, too. Ctrl-C here ends everything.");
        screen.command(`npx contrail${at} why ${run.runId}`);
        screen.command(`npx contrail${at} show ${done}`);
        screen.command(`nats${at} sub 'contrail.live.>'`);
      });
  }

  /** Somebody pressed Enter: publishes the event that the order waits for. */
  async enter(): Promise<void> {
    const publish = this.#publishNext;
    this.#publishNext = undefined;
    await publish?.();
  }

  /** Starts an order and tells of it to its end. `help` is called each time it waits. */
  async #tellNext(help: (waiting: Waiting) => Promise<void>): Promise<void> {
    const { screen } = this.#parts;
    const { run, order } = await this.#start();
    screen.beginTimeline((await run.view()).startedAt);
    const view = await new Promise<RunView>((resolve, reject) => {
      let latest: RunView | undefined;
      const onEvicted = async (view: RunView): Promise<void> => {
        latest = view;
        await this.#tellSlots(view, () => latest === view);
        const event = awaitedEvent(view);
        if (event !== undefined) this.#publishNext = () => this.#publish(event, order);
        await help({ run, order, view, event });
      };
      const narrator = new Narrator({
        ...this.#parts,
        nameOf: (id) => this.#workers.get(id)?.name ?? id,
        onEvicted: (view) => void onEvicted(view).catch(reject),
      });
      narrator.tell(run).then(resolve, reject);
    });
    this.#tellResult(view, await run.result());
  }

  /** Starts the next order that this cluster has not seen yet. */
  async #start(): Promise<{ run: OrderRun; order: Order }> {
    const { client, screen } = this.#parts;
    while (await exists(client.get(fulfil, `order-${this.#nextNumber}`))) this.#nextNumber++;
    const order: Order = { id: String(this.#nextNumber), skus: SKUS, holdFor: HOLD_FOR };
    const id = `order-${order.id}`;
    const input = inspect(order, { breakLength: Number.POSITIVE_INFINITY });
    const compact = input.replace("[ ", "[").replace(" ]", "]");
    screen.say(`\nclient.start(fulfil, ${compact},\n  { id: '${id}' })`, "strong");
    return { run: await client.start(fulfil, order, { id }), order };
  }

  /** Says who holds slots, by the leases that workers write. */
  async #tellSlots({ taskName, runId }: RunView, isLatest: () => boolean): Promise<void> {
    const { client, screen, signal } = this.#parts;
    const until = performance.now() + LEASES_WITHIN_MS;
    while (isLatest()) {
      const leases = (await client.leases()).filter(
        ({ pool, worker }) => pool === "durable" && this.#workers.get(worker)?.isAlive,
      );
      const holder = leases.find(({ held }) =>
        held.some(({ task, run }) => task === taskName && run === runId),
      );
      if (!holder || performance.now() > until) {
        const held = leases.reduce((sum, lease) => sum + lease.held.length, 0);
        const capacity = leases.reduce((sum, lease) => sum + lease.capacity, 0);
        const where = holder ? `at ${this.#workers.get(holder.worker)?.name}` : "on no worker";
        screen.aside(`${held} of ${capacity} durable slots are held; ${runId} is ${where}`, "dim");
        return;
      }
      await pause(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /** Kills the worker that had the run, while the run waits, and starts another one. */
  async #killWorkerOf({ run, view }: Waiting): Promise<void> {
    const { processes, screen, signal } = this.#parts;
    const victim = this.#workers.get(view.state.worker);
    if (!victim) return;
    // Sooner would do no harm either, but be mended only when the claim times out.
    while (!(await run.view()).hasRegistration) await pause(LOOK_EVERY_MS, undefined, { signal });
    await victim.kill();
    const { name, pid } = victim;
    screen.aside(
      `${name} is killed on purpose: kill -9 ${pid}. ${run.runId} is in the log.`,
      "bad",
    );
    const next = await processes.start("worker", "worker-c");
    this.#workers.set(next.id, next);
    screen.aside(`${next.name}, process ${next.pid}, is started in its place.`);
  }

  /** Publishes the event that a run waits for, if nobody else does. */
  async #publishAfter(patienceMs: number, { run, event, order }: Waiting): Promise<void> {
    if (event === undefined) return;
    const { screen, signal } = this.#parts;
    screen.aside(`Any NATS client may publish the event${this.#orEnter()}:`);
    screen.command(this.#command(event, order));
    await pause(patienceMs, undefined, { signal });
    if (awaitedEvent(await run.view()) !== event) return;
    screen.aside(`Nobody did within ${durationText(patienceMs)}: this demo publishes it.`);
    await this.#publish(event, order);
  }

  async #publish(event: string, { id }: Order): Promise<void> {
    await this.#parts.client.publish(event, { orderId: id });
  }

  #orEnter(): string {
    return process.stdin.isTTY ? ", or press Enter here" : "";
  }

  #command(event: string, { id }: Order): string {
    const payload = JSON.stringify({ orderId: id });
    return `nats${this.#parts.cluster.natsOptions} pub events.${event} '${payload}'`;
  }

  #tellResult(view: RunView, result: OutputOf<typeof fulfil>): void {
    const { screen } = this.#parts;
    const rows = timelineOf(view);
    const passes = new Set(rows.map(({ pass }) => pass).filter((pass) => pass > 0)).size;
    const workers = new Set(rows.flatMap(({ worker = [] }) => worker)).size;
    const steps = rows.filter(({ kind }) => kind === "step");
    const isOnce = steps.every(({ attempts }) => attempts === 1);
    const took = durationText(view.state.changedAt - view.startedAt);
    screen.heading(
      `The result, after ${took} in ${passes} passes at ${workers} workers${isOnce ? "; every step ran once" : ""}:`,
    );
    screen.value(result, "good");
  }
}

/** The event that a run waits for, if it waits for one. */
function awaitedEvent({ state }: RunView): string | undefined {
  if (state.status !== "waiting") return undefined;
  for (const { leaves } of state.pending.values())
    for (const leaf of leaves) if (leaf.kind === "event") return leaf.name;
  return undefined;
}

async function exists(run: RunHandle): Promise<boolean> {
  try {
    await run.view();
    return true;
  } catch (error) {
    if (error instanceof RunNotFoundError) return false;
    throw error;
  }
}
