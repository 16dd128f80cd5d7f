/** Following a run over real connections. */
import test, { type ExecutionContext } from "ava";
import { startEngine } from "../../engine/index.ts";
import {
  type Client,
  connect,
  RunNotFoundError,
  type RunView,
  UnavailableError,
} from "../../shared/index.ts";
import { durableTask } from "../../shared/task.ts";
import { startWorker } from "../../worker/index.ts";
import { startTestServer, type TestServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const nap = durableTask({
  name: "nap",
  run: async (ms: number, ctx) => {
    await ctx.step("lie down", () => 1);
    await ctx.sleepFor({ milliseconds: ms });
    return ctx.step("get up", () => 2);
  },
});
const LONG_MS = 600_000;

interface World {
  readonly server: TestServer;
  readonly client: Client;
}

async function open(t: ExecutionContext): Promise<World> {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const servers = server.url;
  // The engine sets up and leaves, so that nobody acts on a request to cancel.
  const engine = await startEngine({ servers, shards: 1 });
  await engine.close();
  const worker = await startWorker({ servers, tasks: [nap] });
  t.teardown(() => worker.close());
  const client = await connect({ servers });
  t.teardown(() => client.close());
  return { server, client };
}

/** Collects views until there are no more. */
async function collect(views: AsyncIterable<RunView>, into: RunView[] = []): Promise<RunView[]> {
  for await (const view of views) into.push(view);
  return into;
}

test("a follower sees a run from its start to its end, each change once and in order", async (t) => {
  const { client } = await open(t);
  const run = await client.start(nap, 1_500);
  const views = await collect(run.follow());
  const tails = views.map(({ state }) => state.tail);
  t.deepEqual(
    tails,
    [...new Set(tails)].sort((a, b) => a - b),
  );
  const statuses = views.map(({ state }) => state.status);
  t.true(statuses.includes("waiting"));
  t.is(statuses.at(-1), "completed");
  t.deepEqual(views.at(-1)?.state.outcome, { status: "completed", output: 2 });
  t.deepEqual(
    (await collect(run.follow())).map(({ state }) => state.status),
    ["completed"],
  );
});

test("a follower misses nothing that happened while its server was away", async (t) => {
  const { client, server } = await open(t);
  const run = await client.start(nap, 1_500);
  const views: RunView[] = [];
  const followed = collect(run.follow(), views);
  await until(() => views.at(-1)?.state.status === "waiting");
  await server.restart();
  await followed;
  t.is(views.at(-1)?.state.status, "completed");
});

test("a follower sees that somebody asked to cancel the run", async (t) => {
  const { client } = await open(t);
  const run = await client.start(nap, LONG_MS);
  const stop = new AbortController();
  const views: RunView[] = [];
  const followed = collect(run.follow({ signal: stop.signal }), views);
  await until(() => views.at(-1)?.state.status === "waiting");
  await run.cancel("no time");
  await until(() => views.at(-1)?.cancelRequest?.reason === "no time");
  stop.abort(new RangeError("enough"));
  await t.throwsAsync(followed, { instanceOf: RangeError, message: "enough" });
});

test("following a run that does not exist, or with a client that is closed, fails by name", async (t) => {
  const { client, server } = await open(t);
  await t.throwsAsync(collect(client.get(nap, "nobody").follow()), {
    instanceOf: RunNotFoundError,
  });
  const other = await connect({ servers: server.url });
  const run = await other.start(nap, LONG_MS);
  const views: RunView[] = [];
  const followed = collect(run.follow(), views);
  await until(() => views.at(-1)?.state.status === "waiting");
  await other.close();
  await t.throwsAsync(followed, { instanceOf: UnavailableError });
});
