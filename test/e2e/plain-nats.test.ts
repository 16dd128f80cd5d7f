/** A user who has nothing but the official `nats` command line. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { type Engine, startEngine } from "../../engine/index.ts";
import { durableTask, task } from "../../shared/task.ts";
import { startWorker, type Worker } from "../../worker/index.ts";
import { startTestServer, type TestServer } from "../helpers/nats.ts";
import { findNatsCli } from "../helpers/nats-cli.ts";
import { until } from "../helpers/until.ts";

const greet = task({
  name: "greet",
  run: (input: { name: string }) => ({ text: `hi ${input.name}` }),
});
const fulfil = durableTask({
  name: "fulfil-order",
  run: async (order: { orderId: string }, ctx) => {
    const { orderId } = order;
    const approved = await ctx.waitForEvent("order.approved", { where: { orderId } });
    const note = await ctx.waitForEvent("note.*", { timeout: "1 day" });
    return { approved: approved.data, note: note && [note.name, note.data] };
  },
});
let letGo: () => void = () => {};
const hold = task({
  name: "hold",
  run: () =>
    new Promise<string>((resolve) => {
      letGo = () => resolve("let go");
    }),
});

interface World {
  readonly server: TestServer;
  readonly engine: Engine;
  readonly worker: Worker;
  readonly binary: string;
}

const cli = await findNatsCli();
const declared = anyTest as TestFn<World>;
/** Where the program is neither found nor can be built, these tests are skipped. */
const test = "missing" in cli ? declared.skip : declared;
if ("missing" in cli)
  test(`the official nats command line is missing: ${oneLine(cli.missing)}`, () => {});

declared.before(async (t) => {
  if ("missing" in cli) return;
  const { binary } = cli;
  const server = await startTestServer();
  const servers = server.url;
  const engine = await startEngine({ servers, name: "engine-1" });
  const worker = await startWorker({ servers, tasks: [greet, fulfil, hold] });
  t.context = { server, engine, worker, binary };
});

declared.after.always(async ({ context }) => {
  letGo();
  await context.worker?.close();
  await context.engine?.close();
  await context.server?.stop();
});

/** As a title of a test. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 300);
}

/** Declares a test that uses the program. */
function withNats(
  title: string,
  run: (t: ExecutionContext<World>, nats: Nats) => Promise<void>,
): void {
  test(title, (t) => run(t, new Nats(t.context)));
}

/** The official command line, against the server of this file. */
class Nats {
  readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** Runs it to its end and returns what it printed to its standard output. */
  async run(...args: string[]): Promise<string> {
    return (await this.runBoth(...args)).stdout;
  }

  /** The same with what it told people. */
  async runBoth(...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const { binary, server } = this.world;
    return promisify(execFile)(binary, ["--server", server.url, ...args]);
  }

  /** Asks the micro service. */
  async ask(endpoint: string, request: object): Promise<unknown> {
    const subject = `contrail.api.${endpoint}`;
    return JSON.parse(
      await this.run("req", subject, JSON.stringify(request), "--raw", "--timeout=20s"),
    );
  }

  start(...args: string[]): ChildProcess {
    const { binary, server } = this.world;
    return spawn(binary, ["--server", server.url, ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
  }
}

withNats("a run is started, woken by published events, and awaited", async (t, nats) => {
  const request = { input: { orderId: "44" }, id: "order-44" };
  const started = { task: "fulfil-order", id: "order-44" };
  t.deepEqual(await nats.ask("start.fulfil-order", request), started);
  t.deepEqual(
    await nats.ask("start.fulfil-order", request),
    started,
    "starting twice starts one run",
  );
  const result = nats.ask("result.fulfil-order", { id: "order-44" });
  await nats.run("pub", "events.order.approved", '{"orderId":"43"}');
  await nats.run("pub", "events.order.approved", '{"orderId":"44","by":"Ada"}');
  await nats.run("pub", "events.note.short", "plain text");
  t.deepEqual(await result, {
    ...started,
    status: "completed",
    output: { approved: { orderId: "44", by: "Ada" }, note: ["note.short", "plain text"] },
  });
});

withNats("a run is seen, listed and canceled", async (t, nats) => {
  await nats.ask("start.fulfil-order", { input: { orderId: "c" }, id: "to-cancel" });
  const at = { task: "fulfil-order", id: "to-cancel" };
  const seen = await until(async () => {
    const run = (await nats.ask("get.fulfil-order", { id: "to-cancel" })) as { status: string };
    return run.status === "waiting" ? run : undefined;
  });
  t.like(seen, { ...at, input: { orderId: "c" }, startedBy: "api" });
  const { runs } = (await nats.ask("list", { task: "fulfil-order", status: "waiting" })) as {
    runs: { id: string }[];
  };
  t.true(runs.some(({ id }) => id === "to-cancel"));
  t.deepEqual(await nats.ask("cancel.fulfil-order", { id: "to-cancel", reason: "enough" }), at);
  t.like(await nats.ask("result.fulfil-order", { id: "to-cancel" }), { ...at, status: "canceled" });
});

withNats(
  "a request that is wrong is answered with a code and what was expected",
  async (t, nats) => {
    const refused = await nats.runBoth("req", "contrail.api.start.greet", "no json");
    t.regex(refused.stderr + refused.stdout, /Nats-Service-Error-Code: 400/);
    t.like(JSON.parse(refused.stdout), { code: "invalid-input" });
    t.like(await nats.ask("get.greet", { id: "nobody" }), { code: "run-not-found" });
  },
);

withNats("the service is found with its endpoints", async (t, nats) => {
  t.regex(await nats.run("micro", "ls"), /contrail/);
  const info = await nats.run("micro", "info", "contrail");
  for (const name of ["start", "get", "result", "cancel", "list"])
    t.regex(info, new RegExp(`contrail\\.api\\.${name}`), name);
});

withNats("a lease says who holds a slot for which run, and is gone with it", async (t, nats) => {
  await nats.ask("start.hold", { id: "held" });
  const { id: worker } = nats.world.worker;
  const lease = async (): Promise<{ held: { task: string; run: string }[] }> =>
    JSON.parse(await nats.run("kv", "get", "contrail_slots_regular", worker, "--raw"));
  const holding = await until(async () => {
    const found = await lease();
    return found.held.some(({ run }) => run === "held") ? found : undefined;
  });
  t.like(holding, { worker, pool: "regular", capacity: 100, pid: process.pid });
  t.regex(await nats.run("kv", "ls", "contrail_slots_durable"), new RegExp(worker));
  letGo();
  t.like(await nats.ask("result.hold", { id: "held" }), { status: "completed", output: "let go" });
  await until(async () => !(await lease()).held.some(({ run }) => run === "held"));
});

withNats("the live feed shows a run from its start to its end", async (t, nats) => {
  const feed = nats.start("sub", "contrail.live.greet.>");
  t.teardown(() => feed.kill("SIGKILL"));
  let text = "";
  feed.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  let count = 0;
  // It says that it subscribes before it has: a run that it may have missed is followed by another.
  const id = await until(
    async () => {
      const runId = `live-${count++}`;
      await nats.ask("start.greet", { input: { name: "Ada" }, id: runId });
      await nats.ask("result.greet", { id: runId });
      return text.includes(`contrail.live.greet.${runId}.token.start`) ? runId : undefined;
    },
    { withinMs: 30_000 },
  );
  await until(() => text.includes(`contrail.live.greet.${id}.h`));
  t.regex(text, /Contrail-Status: completed/);
});
