/** `contrail export` and `contrail replay`, from a namespace and from files. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import test, { type ExecutionContext } from "ava";
import { startEngine } from "../../../engine/index.ts";
import { connect, parseHistory } from "../../../shared/index.ts";
import { durableTask, type Task } from "../../../shared/task.ts";
import { testKit } from "../../../testing/index.ts";
import { replayHistory, startWorker } from "../../../worker/index.ts";
import { contrail, jsonLines } from "../../helpers/contrail.ts";
import { temporaryFolder } from "../../helpers/folders.ts";
import { startTestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

const NOBODY = "nats://127.0.0.1:1";

const nap: Task<string, string> = durableTask({
  name: "nap",
  run: async (input: string, ctx) => {
    const text = await ctx.step("look", () => input);
    await ctx.sleepFor("1 day");
    return text;
  },
});

/** Its steps have names of its own. */
const labeled: Task<null, string> = durableTask({
  name: "labeled",
  run: async (_: null, ctx) => {
    await ctx.step(`pack ${ctx.uuid()}`, () => 1);
    await ctx.sleepFor("1 day");
    return ctx.step(`ship ${ctx.uuid()}`, () => "shipped");
  },
});

/** A folder with the task as it is and as somebody changed it. */
function folder(t: ExecutionContext): string {
  const path = temporaryFolder(t);
  const task = pathToFileURL(resolve("dist/shared/task.js")).href;
  const write = (name: string, step: string): void =>
    writeFileSync(
      join(path, name),
      `import { durableTask } from ${JSON.stringify(task)};
       export const nap = durableTask({ name: "nap", run: async (input, ctx) => {
         const text = await ctx.step("${step}", () => { throw new Error("executed"); });
         await ctx.sleepFor("1 day");
         return text;
       } });`,
    );
  write("same.mjs", "look");
  write("renamed.mjs", "see");
  return path;
}

test("exported histories are replayed without a server, with a verdict for each", async (t) => {
  const cwd = folder(t);
  const kit = await testKit({ tasks: [nap] });
  for (const id of ["a", "b"]) {
    const run = await kit.start(nap, id, { id });
    await run.result();
    writeFileSync(join(cwd, `${id}.json`), await run.history());
  }
  const histories = ["--history", "a.json", "b.json"];
  const same = await contrail(["replay", "same.mjs", ...histories], { cwd, server: NOBODY });
  t.deepEqual(same, {
    code: 0,
    stdout: "same      nap/a\nsame      nap/b\n",
    stderr: "2 as recorded, 0 diverged, 0 not replayed.\n",
  });
  const other = await contrail(["replay", "renamed.mjs", ...histories], { cwd, server: NOBODY });
  t.is(other.code, 1);
  t.regex(
    other.stdout,
    /^diverged {2}nap\/a: entry 1 \(step-completed, .*\) has "s0 look", the code asks for "s0 see": /,
  );
  const args = ["replay", "renamed.mjs", "--json", "--history", "b.json"];
  const asJson = await contrail(args, { cwd, server: NOBODY });
  t.is(asJson.code, 1);
  const [line, ...more] = jsonLines(asJson.stdout);
  t.like(line, { taskName: "nap", runId: "b", verdict: "diverged", recorded: "s0 look" });
  t.like(line, { asked: ["s0 see"], entry: { number: 1, kind: "step-completed" } });
  t.is(more.length, 0);
});

test("a run of a namespace is exported, and all of them are replayed where they are", async (t) => {
  const cwd = folder(t);
  const server = await startTestServer();
  const servers = server.url;
  const engine = await startEngine({ servers, shards: 1 });
  const worker = await startWorker({ servers, tasks: [nap, labeled] });
  const client = await connect({ servers });
  t.teardown(async () => {
    await client.close();
    await worker.close();
    await engine.close();
    await server.stop();
  });
  for (const id of ["a", "b"]) {
    const run = await client.start(nap, id, { id });
    await until(async () => (await run.view()).state.status === "waiting");
  }
  const run = (...args: string[]) => contrail(args, { cwd, server: servers });
  t.is((await run("export", "nap/a", "a.json")).code, 0);
  const printed = await run("export", "nap/a");
  t.is(printed.stdout, readFileSync(join(cwd, "a.json"), "utf8"));
  t.is((await run("replay", "same.mjs", "--history", "a.json")).stdout, "same      nap/a\n");
  const all = await run("replay", "same.mjs", "--task", "nap", "--since", "1h");
  t.deepEqual(
    [all.code, all.stdout.trim().split("\n").sort()],
    [0, ["same      nap/a", "same      nap/b"]],
  );
  const labels = await client.start(labeled, null, { id: "labels" });
  await until(async () => (await labels.view()).state.status === "waiting");
  const fork = await labels.fork();
  await until(async () => (await fork.view()).state.status === "waiting");
  t.is((await run("export", `labeled/${fork.runId}`, "fork.json")).code, 0);
  const history = parseHistory(readFileSync(join(cwd, "fork.json"), "utf8"), "fork.json");
  t.like(await replayHistory(labeled, history), { verdict: "same" }, "a fork keeps its names");
  t.is((await run("replay", "renamed.mjs", "--status", "waiting")).code, 1);
  const none = await run("replay", "renamed.mjs", "--status", "completed");
  t.deepEqual([none.code, none.stdout], [0, ""]);
  t.is((await run("replay", "renamed.mjs", "--since", "2100-01-01T00:00:00Z")).code, 0);
});

test("replay refuses what it cannot read, and says what it expects", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "none.json"), "{}");
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["replay", "no.mjs"], 2, /There is no file "no.mjs"/],
    [["replay", "same.mjs", "--task", "nup"], 2, /exports no task "nup"\. It has "nap"/],
    [["replay", "same.mjs", "--since", "then"], 2, /an instant as/],
    [["replay", "same.mjs", "--history", "no.json"], 2, /"no.json" cannot be read/],
    [["replay", "same.mjs", "--history", "none.json"], 1, /is not a history/],
  ];
  for (const [args, code, expected] of cases) {
    const result = await contrail(args, { cwd, server: NOBODY });
    t.is(result.code, code, args.join(" "));
    t.regex(result.stderr, expected);
  }
});
