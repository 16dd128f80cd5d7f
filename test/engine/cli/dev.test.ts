/** `contrail dev`: a server of its own, an engine, and a worker that follows its files. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import {
  contrail,
  type JsonObject,
  jsonLines,
  projectFolder,
  startContrail,
  writeFiles,
} from "../../helpers/contrail.ts";
import { startTestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

const TASKS = `import { task, durableTask } from "contrail/task";
import { word } from "./lib/word.ts";
export const say = task({ name: "say", run: (input: { name: string }) => word + " " + input.name });
export const wait = durableTask({ name: "wait", run: async (_: null, ctx) => (await ctx.waitForEvent("go")).data });
`;
const word = (text: string): string => `export const word: string = ${JSON.stringify(text)};\n`;

/** How often a worker of this command has become ready. */
function readyCount(stdout: string): number {
  return [...stdout.matchAll(/^Worker \S+ executes say \(regular\), wait \(durable\)\.$/gm)].length;
}

test("dev runs everything in one folder, follows changes, and ends with Ctrl-C", async (t) => {
  const cwd = projectFolder(t, { "tasks.ts": TASKS, "lib/word.ts": word("hello") });
  const dev = startContrail(t, ["dev", "tasks.ts"], { cwd });
  await until(() => readyCount(dev.stdout) === 1, { withinMs: 60_000, what: "the first worker" });
  t.regex(dev.stdout, /^Server nats:\/\/127\.0\.0\.1:\d+, namespace "contrail"\./m);
  const say = async (): Promise<JsonObject | undefined> => {
    const args = ["start", "say", "--input", '{"name":"Ada"}', "--wait", "--json"];
    return jsonLines((await contrail(args, { cwd })).stdout)[0];
  };
  t.is((await say())?.["output"], "hello Ada");

  writeFiles(cwd, { "lib/word.ts": word("good day") });
  await until(() => readyCount(dev.stdout) === 2, { withinMs: 60_000, what: "the second worker" });
  t.is((await say())?.["output"], "good day Ada");

  writeFiles(cwd, { "lib/word.ts": "export const word: string = ;\n" });
  await dev.printed(/error task-file: The file tasks\.ts cannot be loaded/);
  await dev.printed(/It starts again when a file changes/);
  writeFiles(cwd, { "lib/word.ts": word("good evening") });
  await until(() => readyCount(dev.stdout) === 3, { withinMs: 60_000, what: "the third worker" });
  t.is((await say())?.["output"], "good evening Ada");

  const start = ["start", "wait", "--input", "null", "--id", "w"];
  t.is((await contrail(start, { cwd })).stdout, "wait/w\n");
  t.is((await contrail(["publish", "go", '"now"'], { cwd })).code, 0);
  t.is((await contrail([...start, "--wait"], { cwd })).stdout, '"now"\n');

  const second = await contrail(["dev", "tasks.ts"], { cwd });
  t.is(second.code, 2);
  t.regex(second.stderr, new RegExp(`runs in this folder already, as process ${dev.pid} `));

  dev.signal("SIGINT");
  const { code, stderr } = await dev.ended;
  t.is(code, 0, stderr);
  t.false(existsSync(join(cwd, ".contrail", "dev.json")));
  t.true(existsSync(join(cwd, ".contrail", "nats")));
  const after = await contrail(["runs", "--server", serverOf(dev.stdout)], { cwd });
  t.is(after.code, 1, "the server has ended too");
});

function serverOf(stdout: string): string {
  return /nats:\/\/127\.0\.0\.1:\d+/.exec(stdout)?.[0] ?? "";
}

test("dev uses the server that is named, and restarts a worker that dies", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const cwd = projectFolder(t, {
    "tasks.js": `import { task } from "contrail/task";
export const pid = task({ name: "pid", run: () => process.pid });
export const die = task({ name: "die", retries: 0, run: () => process.kill(process.pid, "SIGKILL") });
`,
  });
  const dev = startContrail(t, ["dev", "tasks.js", "--json"], { cwd, server: server.url });
  await dev.printed(/worker-ready/);
  t.like(jsonLines(dev.stdout)[0], { event: "dev-ready", server: server.url });
  t.false(existsSync(join(cwd, ".contrail")));
  const ask = { cwd, server: server.url };
  const pid = Number((await contrail(["start", "pid", "--wait"], ask)).stdout);
  t.true(pid > 0 && pid !== dev.pid);
  process.kill(pid, "SIGKILL");
  await until(
    () => jsonLines(dev.stdout).filter(({ event }) => event === "worker-ready").length === 2,
    {
      withinMs: 60_000,
      what: "another worker",
    },
  );
  const next = Number((await contrail(["start", "pid", "--wait"], ask)).stdout);
  t.not(next, pid);
  dev.signal("SIGKILL");
  await dev.ended;
  await until(() => !isAlive(next), { withinMs: 60_000, what: "the end of the worker" });
});

test("dev logs its worker in without a secret among the arguments, which everybody sees", async (t) => {
  const cwd = projectFolder(t, {
    "tasks.js": `import { task } from "contrail/task";
export const given = task({ name: "given", run: () => process.argv.slice(2) });
`,
    "nats.conf": 'authorization { user: "ann", password: "s3cret" }',
  });
  const server = await startTestServer(join(cwd, "nats.conf"));
  t.teardown(() => server.stop());
  const user = ["--user", "ann", "--password", "s3cret", "--namespace", "mine"];
  const dev = startContrail(t, ["dev", "tasks.js", ...user], { cwd, server: server.url });
  await dev.printed(/executes given/);
  const ask = { cwd, server: server.url };
  const { stdout } = await contrail(["start", "given", "--wait", ...user], ask);
  const given = JSON.parse(stdout) as string[];
  t.is(given[0], "worker");
  t.false(given.join(" ").includes("s3cret"));
});

test("a note that dev left behind when it was killed misleads nobody", async (t) => {
  const cwd = projectFolder(t, {});
  writeFiles(cwd, { ".contrail/dev.json": '{"server":"nats://127.0.0.1:1","pid":2147483646}' });
  const { stderr } = await contrail(["runs", "--namespace", "none"], { cwd });
  t.false(stderr.includes("127.0.0.1:1:"), stderr);
  writeFileSync(join(cwd, ".contrail", "dev.json"), "no json");
  t.regex((await contrail(["runs", "--namespace", "none"], { cwd })).stderr, /^error /);
  rmSync(join(cwd, ".contrail"), { recursive: true });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
