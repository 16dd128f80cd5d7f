/** What happens in the demo: one order with all its events, then orders that wait for yours. */
import { setTimeout as pause } from "node:timers/promises";
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

const FIRST_ORDER = 42;
const SKUS = ["tea", "cup", "jam"];
const HOLD_FOR = "3s";
/** Lease records say what is so within some tens of milliseconds. */
const LEASES_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 25;

/** Tells one order after the other. */
export class Story {
  readonly #parts: StoryParts;
  readonly #narrator: Narrator;
  readonly #workers: Map<string, RoleProcess> = new Map();
  readonly #helping: Set<Promise<void>> = new Set();
  #nextNumber = FIRST_ORDER;

  constructor(parts: StoryParts) {
    this.#parts = parts;
    for (const worker of parts.workers) this.#add(worker);
    this.#narrator = new Narrator(parts, (id) => this.#nameOf(id));
  }

  /** An order to its end. A worker dies on the way. What nobody does for `patienceMs`, this does. */
  async firstOrder({ patienceMs }: { readonly patienceMs: number }): Promise<void> {
    const { run, order } = await this.#start();
    let hasCut = false;
    await this.#narrate(run, async (view) => {
      await this.#tellSlots(view);
      if (!hasCut) {
        hasCut = true;
        await this.#cutPower(view);
      }
      const name = awaitedEvent(view);
      if (name !== undefined) await this.#publishAfter(patienceMs, { run, name, order });
    });
  }

  /** Orders that wait for what somebody types, one after the other, until the demo ends. */
  async moreOrders(): Promise<never> {
    for (;;) {
      const { run, order } = await this.#start();
      await this.#narrate(run, async (view) => {
        await this.#tellSlots(view);
        const name = awaitedEvent(view);
        if (name === undefined) return;
        this.#parts.screen.aside(
          "Your turn. Type this in another terminal (Ctrl-C here ends all):",
        );
        this.#parts.screen.aside(this.#command(name, order), "begin");
      });
    }
  }

  /** Starts the next order that this cluster has not seen yet. */
  async #start(): Promise<{ run: OrderRun; order: Order }> {
    const { client, screen } = this.#parts;
    const isTaken = (id: string): Promise<boolean> =>
      client
        .get(fulfil, id)
        .view()
        .then(
          () => true,
          (error: unknown) => {
            if (error instanceof RunNotFoundError) return false;
            throw error;
          },
        );
    while (await isTaken(`order-${this.#nextNumber}`)) this.#nextNumber++;
    const id = String(this.#nextNumber++);
    const order: Order = { id, skus: SKUS, holdFor: HOLD_FOR };
    screen.heading(`client.start(fulfil, ${JSON.stringify(order)}, { id: "order-${id}" })`);
    return { run: await client.start(fulfil, order, { id: `order-${id}` }), order };
  }

  /** Tells of the run to its end. `help` is called each time it has given its slot back. */
  async #narrate(run: OrderRun, help: (view: RunView) => Promise<void>): Promise<void> {
    const { screen } = this.#parts;
    const { startedAt } = await run.view();
    screen.beginTimeline(startedAt);
    const view = await this.#narrator.tell(run, {
      onEvicted: (evicted) => {
        const helped = help(evicted).catch((error: unknown) => {
          if (!this.#parts.signal.aborted) screen.aside(String(error), "bad");
        });
        this.#helping.add(helped);
        void helped.finally(() => this.#helping.delete(helped));
      },
    });
    await Promise.all(this.#helping);
    this.#tellResult(view, await run.result());
  }

  /** Says who holds slots, from the leases that workers write. */
  async #tellSlots({ taskName, runId }: RunView): Promise<void> {
    const { client, screen, signal } = this.#parts;
    const until = performance.now() + LEASES_WITHIN_MS;
    for (;;) {
      const leases = (await client.leases()).filter(
        ({ pool, worker }) => pool === "durable" && this.#workers.has(worker),
      );
      const holder = leases.find(({ held }) =>
        held.some(({ task, run }) => task === taskName && run === runId),
      );
      if (!holder || performance.now() > until) {
        const counts = leases.map(
          ({ worker, held, capacity }) => `${this.#nameOf(worker)} ${held.length} of ${capacity}`,
        );
        const who = holder ? this.#nameOf(holder.worker) : "nobody";
        screen.aside(`  durable slots held: ${counts.join(", ")}; for ${runId}: ${who}`, "dim");
        return;
      }
      await pause(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /** Kills the worker that had the run, while the run waits, and starts another one. */
  async #cutPower({ state, runId }: RunView): Promise<void> {
    const { processes, screen } = this.#parts;
    const victim = this.#workers.get(state.worker);
    if (!victim) return;
    await victim.kill();
    screen.aside(
      `${victim.name} is killed now (kill -9 ${victim.pid}), and nothing of ${runId} goes with it.`,
      "bad",
    );
    this.#add(await processes.start("worker", "worker-c"));
    screen.aside("worker-c takes its place. No worker has heard of the order yet.");
  }

  /** Publishes an event that a run waits for, if nobody else does. */
  async #publishAfter(
    patienceMs: number,
    { run, name, order }: { run: OrderRun; name: string; order: Order },
  ): Promise<void> {
    const { client, screen, signal } = this.#parts;
    screen.aside(`Anybody may publish the event, with any NATS client:`);
    screen.aside(this.#command(name, order), "begin");
    await pause(patienceMs, undefined, { signal });
    if (awaitedEvent(await run.view()) !== name) return;
    screen.aside(`Nobody did for ${durationText(patienceMs)}, so this demo does.`);
    await client.publish(name, { orderId: order.id });
  }

  #command(name: string, { id }: Order): string {
    const payload = JSON.stringify({ orderId: id });
    return `nats${this.#parts.cluster.natsOptions} pub events.${name} '${payload}'`;
  }

  #tellResult(view: RunView, result: OutputOf<typeof fulfil>): void {
    const { screen } = this.#parts;
    const rows = timelineOf(view);
    const passes = new Set(rows.map(({ pass }) => pass).filter((pass) => pass > 0)).size;
    const workers = new Set(rows.flatMap(({ worker = [] }) => worker)).size;
    const took = durationText(view.state.changedAt - view.startedAt);
    screen.say();
    screen.say(`Result, ${took} after the start, in ${passes} passes of ${workers} workers:`);
    screen.say(JSON.stringify(result, undefined, 2), "good");
  }

  #nameOf(workerId: string): string {
    return this.#workers.get(workerId)?.name ?? workerId;
  }

  #add(worker: RoleProcess): void {
    this.#workers.set(worker.id, worker);
  }
}

/** The event that a run waits for, if it waits for one. */
function awaitedEvent({ state }: RunView): string | undefined {
  if (state.status !== "waiting") return undefined;
  for (const { leaves } of state.pending.values())
    for (const leaf of leaves) if (leaf.kind === "event") return leaf.name;
  return undefined;
}
