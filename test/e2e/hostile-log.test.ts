import test, { type ExecutionContext } from "ava";
import { examine, type Finding } from "../../engine/index.ts";
import type { RunHandle } from "../../shared/index.ts";
import {
  forge,
  forgedCancel,
  forgedReady,
  forgedStart,
  forgedWait,
  GARBAGE,
  LOG_KINDS,
  openTokens,
} from "../helpers/forgery.ts";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  claims,
  forEachWorld,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { echo, gated, listener, sleeper } from "./tasks/hostile.ts";

const tasksFile = new URL("./tasks/hostile.js", import.meta.url);
const bodies = Object.values(GARBAGE);
const CLAIM_MS = 3_000;
/** So many sleeps of 1.5 s, one after the other, take longer than a claim lasts. */
const SLEEPS = 3;

/** A world with an engine and a worker, and runs at work, asleep and waiting. */
class Scene {
  readonly world: World;
  readonly processes: TestProcess[] = [];
  readonly bystanders: { readonly run: RunHandle; readonly output: unknown }[] = [];

  constructor(world: World) {
    this.world = world;
  }

  async begin(): Promise<void> {
    const { world } = this;
    this.processes.push(
      await world.startEngine(),
      await world.startWorker({ tasksFile, warmRuns: 0 }),
    );
    const atWork = await world.client.start(gated, world.gate("bystander"), { id: "at-work" });
    await until(() => world.effects.read("at-work").length === 1);
    this.bystanders.push(
      { run: atWork, output: "held" },
      { run: await this.listen("bystander"), output: { id: "bystander" } },
      { run: await world.client.start(sleeper, undefined, { id: "asleep" }), output: "slept" },
    );
  }

  /** A run that waits for its event, registered with the engine. */
  async listen(id: string): Promise<RunHandle> {
    const run = await this.world.client.start(listener, id, { id });
    await this.world.untilStatus(run, "waiting");
    const isRegistered = async (): Promise<boolean> => {
      const { hasRegistration, hasTimer } = await run.view();
      return hasRegistration && hasTimer;
    };
    await until(isRegistered, { what: `${id} is registered` });
    return run;
  }

  tell(id: string): Promise<unknown> {
    return this.world.client.publish("hostile.go", { id });
  }

  async forge(run: RunHandle, kind: string, body: Uint8Array): Promise<number> {
    const { link, setup } = this.world;
    return forge(link, `${setup.names.run(run).prefix}.${kind}`, body);
  }

  /** Ends everything as it should end, and looks at what is left. */
  async end(t: {
    is: (a: unknown, b: unknown, message?: string) => void;
    deepEqual: (a: unknown, b: unknown) => void;
  }): Promise<void> {
    const { world } = this;
    for (let i = 0; i < SLEEPS; i++)
      t.is(await world.result(await world.client.start(sleeper)), "slept", "new runs go on");
    t.deepEqual(await world.result(await world.client.start(echo, { a: 1 })), { a: 1 });
    world.open("bystander");
    await this.tell("bystander");
    for (const { run, output } of this.bystanders) {
      t.deepEqual(await world.result(run), output);
      checkHistory(t as never, await world.endOf(run));
    }
    const atWork = await world.endOf(world.client.get(gated, "at-work"));
    t.deepEqual(
      claims(atWork).filter((because) => because === "takeover"),
      [],
    );
    t.is(world.effects.read("at-work").length, 1, "the run at work was never taken over");
    for (const child of this.processes) t.is(child.isRunning, true, child.stderr());
    await until(
      async () => {
        const { unacknowledged, undelivered } = await openTokens(world.link, world.setup.names);
        return unacknowledged + undelivered === 0;
      },
      { withinMs: 20_000, what: "no token goes round in circles" },
    );
  }
}

/** The doctor shows what was met of the garbage on the subjects of these runs. */
async function checkNoted(
  t: ExecutionContext,
  { access, setup }: World,
  runs: readonly RunHandle[],
): Promise<void> {
  const told = async (): Promise<Finding[]> => {
    const findings = await examine({ ...access, namespace: setup.namespace });
    return findings.filter(({ check }) => check === "message");
  };
  const [summary, ...each] = await until(async () => {
    const found = await told();
    return found.length > 10 && found;
  });
  const { verdict, details } = summary as Finding;
  t.is(verdict, "problem");
  t.true((details["count"] as number) > runs.length);
  for (const { message, details } of each) {
    t.regex(
      message,
      /^Message \d+ of stream contrail_LOG_0, on contrail\.log\.0\.listener\.victim/,
    );
    t.regex(message, / could not be read by (engine|worker) \S+ at \S+: .*nats stream get/);
    t.true((details["sequence"] as number) > 0);
  }
}

forEachWorld(test, (title, open) => {
  test(`${title}: garbage on every subject of runs that nobody started harms no run, and each undecodable start has failed`, async (t) => {
    const scene = new Scene(await open(t, { shards: 1, claimTimeoutMs: CLAIM_MS }));
    await scene.begin();
    const { world } = scene;
    const { link, setup, client } = world;
    for (const [i, body] of bodies.entries())
      for (const kind of LOG_KINDS) {
        const fake = { taskName: "listener", runId: `fake-${kind}-${i}` };
        await forge(link, `${setup.names.run(fake).prefix}.${kind}`, body);
        await forge(
          link,
          `${setup.names.run({ ...fake, taskName: "nobody" }).prefix}.${kind}`,
          body,
        );
      }
    const { namespace } = setup;
    for (const place of [
      "listener.r_zz.token.start",
      "listener._.token.ready",
      "listener.victim.token.h",
      "a.b.c.h",
      "x",
      "listener.a.odd",
    ])
      await forge(link, `${namespace}.log.0.${place}`, bodies[1] as Uint8Array);
    for (const i of bodies.keys())
      await t.throwsAsync(world.result(client.get(listener, `fake-token.start-${i}`)), {
        code: "run-failed",
        message: /The message at .* (is not a |cannot be decoded|does not begin with)/,
      });
    t.true((await client.list({ limit: 1_000 })).length > 10, "lists can still be read");
    await scene.end(t);
  });

  test(`${title}: garbage on the subjects of runs that wait costs no other run anything, and theirs only where their history was`, async (t) => {
    const scene = new Scene(await open(t, { shards: 1, claimTimeoutMs: CLAIM_MS }));
    await scene.begin();
    const { world } = scene;
    const victims = new Map<string, RunHandle>();
    for (const kind of LOG_KINDS) victims.set(kind, await scene.listen(`victim-${kind}`));
    for (const body of bodies)
      for (const [kind, run] of victims) await scene.forge(run, kind, body);
    for (const [kind, run] of victims) {
      await scene.tell(run.runId);
      if (kind !== "h") t.deepEqual(await world.result(run), { id: run.runId }, kind);
    }
    const broken = await (victims.get("h") as RunHandle).view();
    t.truthy(broken.state.unreadableAt, "what cannot be read is shown");
    t.is(broken.state.outcome, undefined);
    const fork = await (victims.get("h") as RunHandle).fork({ reason: "its history was spoiled" });
    // The event that the spoiled run was told is one that its fork has not consumed either.
    t.deepEqual(await world.result(fork), { id: "victim-h" }, "a fork goes on from before that");
    await (victims.get("h") as RunHandle).terminate("its fork goes on");
    await t.throwsAsync(world.result(victims.get("h") as RunHandle), { code: "run-canceled" });
    await scene.end(t);
    await checkNoted(t, world, [...victims.values()]);
  });

  test(`${title}: garbage on the subjects of runs at work costs no other run anything`, async (t) => {
    const scene = new Scene(await open(t, { shards: 1, claimTimeoutMs: CLAIM_MS }));
    await scene.begin();
    const { world } = scene;
    const victims = new Map<string, RunHandle>();
    for (const kind of LOG_KINDS) {
      const gate = world.gate("victims");
      const run = await world.client.start(gated, gate, { id: `victim-${kind}` });
      victims.set(kind, run);
      await until(() => world.effects.read(run.runId).length === 1);
    }
    for (const body of bodies)
      for (const [kind, run] of victims) await scene.forge(run, kind, body);
    for (let i = 0; i < SLEEPS; i++)
      t.is(await world.result(await world.client.start(sleeper)), "slept", "longer than a claim");
    world.open("victims");
    for (const [kind, run] of victims)
      if (kind !== "h") t.is(await world.result(run), "held", kind);
    const broken = await world.untilStatus(victims.get("h") as RunHandle, "paused");
    t.regex(
      broken.state.paused?.reason ?? "",
      /message in its history, at sequence \d+, that cannot/,
    );
    await scene.end(t);
  });

  test(`${title}: well-formed forgeries wake nobody twice, end nobody, and go round in no circle`, async (t) => {
    const scene = new Scene(await open(t, { shards: 1, claimTimeoutMs: CLAIM_MS }));
    await scene.begin();
    const { world } = scene;
    const run = await scene.listen("victim");
    const other = await scene.listen("other");
    const { state, startSequence } = await run.view();
    const wait = state.waitSequence;
    const year = Date.UTC(2100, 0, 1);
    const key = [...state.pending.keys()][0] as string;
    const tokens = [
      forgedReady(wait, startSequence + 1, { poke: "forged" }),
      forgedReady(wait - 1, startSequence, { poke: "forged" }),
      forgedReady(wait + 1, startSequence, { poke: "forged" }),
      forgedReady(2 ** 40, startSequence, { poke: "forged" }),
      forgedReady(0, startSequence, { poke: "forged" }),
      forgedReady(wait, startSequence, { timer: year }),
      forgedReady(wait, startSequence, { events: [[key, 0, 2 ** 40]] }),
      forgedReady(wait, startSequence, { events: [["w9 nobody", 7, 1]] }),
      forgedReady(wait, startSequence, { children: [[key, 0, [0, 1, 2]]] }),
      forgedReady(wait, startSequence, { cancel: 2 ** 40 }),
    ];
    for (const token of tokens) await scene.forge(run, "token.ready", token);
    const { sequence } = await world.client.publish("hostile.other", { id: "victim" });
    const { state: later } = await run.view();
    for (const answers of new Set([wait, later.waitSequence]))
      await scene.forge(
        run,
        "token.ready",
        forgedReady(answers, startSequence, { events: [[key, 0, sequence]] }),
      );
    for (const target of [run, other]) {
      const { state: now } = await target.view();
      for (const condition of [
        { kind: "event", name: "hostile.go", where: { a: { $bad: 1 } }, after: 0 },
        { kind: "event", name: ">.a.*b..", where: { $and: 5 }, after: 0 },
        { kind: "event", name: "x".repeat(5_000), after: 2 ** 50 },
        { kind: "child", taskName: "*", runId: ">" },
        { kind: "children", taskName: "nobody", first: 2 ** 50, count: 100_000 },
      ] as const)
        await scene.forge(
          target,
          "wait",
          forgedWait(now.waitSequence + 5, startSequence, condition),
        );
      await scene.forge(target, "cancel", forgedCancel(startSequence - 1));
      await scene.forge(target, "cancel", forgedCancel(2 ** 40));
    }
    await scene.end(t);
    t.is((await run.view()).state.outcome, undefined, "the run was ended by no forgery");
    await (scene.processes[0] as TestProcess).end();
    await world.startEngine();
    const late = await scene.listen("late");
    await scene.tell("late");
    t.deepEqual(await world.result(late), { id: "late" }, "the next engine reads past them too");
  });

  test(`${title}: a start on another shard than its run's begins nothing`, async (t) => {
    const world = await open(t, { shards: 2, claimTimeoutMs: CLAIM_MS });
    await world.startWorker({ tasksFile });
    const { link, setup, client } = world;
    const address = { taskName: "echo", runId: "run" };
    const { prefix, shard } = setup.names.run(address);
    const elsewhere = prefix.replace(`.log.${shard}.`, `.log.${1 - shard}.`);
    await forge(link, `${elsewhere}.token.start`, forgedStart("forged"));
    const run = await client.start(echo, "real", { id: "run" });
    t.is(await world.result(run), "real");
    const view = await world.endOf(run);
    t.is(view.commits.length, 1);
    const done = async (): Promise<boolean> =>
      (await openTokens(link, setup.names)).unacknowledged === 0;
    await until(done, { what: "the forged start is dropped" });
    t.is(
      (await link.reader.readSubject(setup.names.logStream(1 - shard), `${elsewhere}.>`)).length,
      1,
    );
  });
});
