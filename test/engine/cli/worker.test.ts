/** `contrail worker` and `contrail engine`: what they load, what they say, and how they end. */
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { type Client, connect } from "../../../shared/index.ts";
import {
  contrail,
  jsonLines,
  projectFolder,
  type RunningCommand,
  startContrail,
} from "../../helpers/contrail.ts";
import { startTestServer, type TestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

interface World {
  server: TestServer;
  engine: RunningCommand;
}

const test = anyTest as TestFn<World>;

test.before(async (t) => {
  const server = await startTestServer();
  // It is killed with this hook's server, or ended by the test that looks at how it ends.
  const engine = startContrail({ teardown() {} }, ["engine"], {
    cwd: process.cwd(),
    server: server.url,
  });
  t.context = { server, engine };
  await engine.printed(/This engine leads/);
});

test.after.always(async (t) => {
  t.context.engine?.signal("SIGKILL");
  await t.context.engine?.ended;
  await t.context.server?.stop();
});

const JAVASCRIPT = `import { durableTask, task } from "contrail/task";
import { greet } from "./lib/greet.js";
const hello = task({ name: "hello", run: (input) => greet(input.name) });
export default [hello, durableTask({ name: "nap", run: async (ms, ctx) => {
  await ctx.sleepFor({ milliseconds: ms });
  return "rested";
} })];
`;
const GREET = 'export const greet = (name) => "hi " + name;\n';

const TYPESCRIPT = `import { task } from "contrail/task";
import type { Typed } from "./lib/typed.ts";
import { shout } from "./lib/shout.js";
export const loud = task({ name: "loud", run: (input: Typed): string => shout(input.text) });
export const other = task({ name: "other", run: () => Mood.Good });
enum Mood { Good = "good" }
`;

async function clientOf(t: {
  context: World;
  teardown(end: () => Promise<void>): void;
}): Promise<Client> {
  const client = await connect({ servers: t.context.server.url });
  t.teardown(() => client.close());
  return client;
}

test("a worker executes the tasks of JavaScript files, and Ctrl-C ends it with exit code 0", async (t) => {
  const cwd = projectFolder(t, { "tasks.js": JAVASCRIPT, "lib/greet.js": GREET });
  const { url: server } = t.context.server;
  const args = ["worker", "tasks.js", "--regular", "2", "--durable", "1", "--json"];
  const worker = startContrail(t, args, { cwd, server });
  await worker.printed(/worker-ready/);
  t.like(jsonLines(worker.stdout)[0], {
    event: "worker-ready",
    tasks: [
      { name: "hello", kind: "regular" },
      { name: "nap", kind: "durable" },
    ],
  });
  const client = await clientOf(t);
  t.is(await (await client.start("hello", { name: "Ada" })).result(), "hi Ada");
  t.is(await (await client.start("nap", 1)).result(), "rested");
  const capacities = async () =>
    (await client.leases()).map(({ pool, capacity }) => `${pool} ${capacity}`);
  t.true(
    await until(async () => (await capacities()).join() === "regular 2,durable 1", {
      withinMs: 60_000,
    }),
  );
  worker.signal("SIGINT");
  t.is((await worker.ended).code, 0);
});

test("a worker executes the tasks of TypeScript files, also of more than types", async (t) => {
  const cwd = projectFolder(t, {
    "tasks.ts": TYPESCRIPT,
    "lib/typed.ts": "export interface Typed { readonly text: string }\n",
    "lib/shout.ts": "export const shout = (text: string): string => text.toUpperCase();\n",
  });
  const worker = startContrail(t, ["worker", "tasks.ts"], { cwd, server: t.context.server.url });
  await worker.printed(/executes loud \(regular\), other \(regular\)/);
  const client = await clientOf(t);
  t.is(await (await client.start("loud", { text: "ada" })).result(), "ADA");
  t.is(await (await client.start("other")).result(), "good");
  worker.signal("SIGTERM");
  const { code, stderr } = await worker.ended;
  t.is(code, 0);
  t.regex(stderr, /^Stopping: running code has up to 10 s/m);
});

test("TypeScript without a package of modules is executed, with advice", async (t) => {
  const cwd = projectFolder(t, {
    "package.json": "{}",
    "tasks.ts":
      'import { task } from "contrail/task";\nexport const cjs = task({ name: "cjs", run: (n: number) => n + 1 });\n',
  });
  const worker = startContrail(t, ["worker", "tasks.ts"], { cwd, server: t.context.server.url });
  await worker.printed(/executes cjs/);
  const isNative = Boolean((process.features as { readonly typescript?: unknown }).typescript);
  if (!isNative)
    t.regex(worker.stderr, /^warn {2}tasks\.ts is read as CommonJS.*"type": "module"/m);
  const client = await clientOf(t);
  t.is(await (await client.start("cjs", 1)).result(), 2);
});

test("the first Ctrl-C lets a run end, the second ends the worker at once", async (t) => {
  const cwd = projectFolder(t, {
    "tasks.js": `import { task } from "contrail/task";
export const stuck = task({ name: "stuck", run: () => new Promise(() => {}) });
setInterval(() => {}, 1000);
`,
  });
  const worker = startContrail(t, ["worker", "tasks.js"], { cwd, server: t.context.server.url });
  await worker.printed(/executes stuck/);
  const client = await clientOf(t);
  await client.start("stuck", null, { id: "s" });
  const holds = async (): Promise<boolean> =>
    (await client.leases()).some(({ held }) => held.some(({ run }) => run === "s"));
  await until(holds, { withinMs: 60_000 });
  worker.signal("SIGINT");
  await worker.printed(/Ctrl-C again ends at once/);
  worker.signal("SIGINT");
  t.is((await worker.ended).code, 130);
});

const WRONG_FILES: readonly (readonly [string, string, string, RegExp])[] = [
  [
    "throws",
    "throws.js",
    'throw new RangeError("at start");',
    /task-file: The file throws\.js cannot be loaded: RangeError: at start \(throws\.js:1\)/,
  ],
  [
    "has a syntax error",
    "broken.ts",
    "export const a: = 1;",
    /task-file: The file broken\.ts cannot be loaded: .*broken\.ts:1/,
  ],
  [
    "imports what is not there",
    "missing.js",
    'import "./none.js";',
    /task-file: The file missing\.js cannot be loaded: .*none\.js/,
  ],
  [
    "exports no task",
    "none.js",
    "export const a = 1;",
    /invalid-input: The file none\.js exports no task/,
  ],
];

for (const [what, name, text, expected] of WRONG_FILES)
  test(`a worker whose file ${what} says so and ends`, async (t) => {
    const cwd = projectFolder(t, { [name]: text });
    const { code, stdout, stderr } = await contrail(["worker", name], {
      cwd,
      server: t.context.server.url,
    });
    t.is(code, expected.source.startsWith("invalid") ? 2 : 1);
    t.is(stdout, "");
    t.regex(stderr, new RegExp(`^error ${expected.source}[^\\n]*\\n$`));
  });

test("two tasks of one name are refused", async (t) => {
  const file =
    'import { task } from "contrail/task";\nexport default task({ name: "same", run: () => 1 });\n';
  const cwd = projectFolder(t, { "a.js": file, "b.js": file });
  const { code, stderr } = await contrail(["worker", "a.js", "b.js"], {
    cwd,
    server: t.context.server.url,
  });
  t.is(code, 2);
  t.regex(stderr, /two tasks named "same"/);
});

test("a worker without a namespace says who makes one", async (t) => {
  const cwd = projectFolder(t, { "tasks.js": JAVASCRIPT, "lib/greet.js": GREET });
  const args = ["worker", join(cwd, "tasks.js"), "--namespace", "none"];
  const { code, stderr } = await contrail(args, { cwd, server: t.context.server.url });
  t.is(code, 1);
  t.regex(stderr, /^error incompatible-setup: There is no namespace "none".*contrail setup/);
});

test("an engine sets its namespace up, and Ctrl-C ends it with exit code 0", async (t) => {
  const own = await startTestServer();
  t.teardown(() => own.stop());
  const server = own.url;
  const args = ["engine", "--namespace", "second", "--json"];
  const engine = startContrail(t, args, { cwd: process.cwd(), server });
  await engine.printed(/engine-ready/);
  t.like(jsonLines(engine.stdout)[0], { event: "engine-ready", namespace: "second" });
  await engine.printed(/This engine leads/);
  t.like(jsonLines(engine.stderr)[0], { level: "info", message: "This engine leads." });
  const runs = await contrail(["runs", "--namespace", "second"], { cwd: process.cwd(), server });
  t.is(runs.code, 0);
  engine.signal("SIGINT");
  t.is((await engine.ended).code, 0);
});
