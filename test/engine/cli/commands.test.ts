/** Every command that looks at runs or changes them, against a real server, engine and worker. */
import anyTest, { type TestFn } from "ava";
import { type Engine, startEngine } from "../../../engine/index.ts";
import { type Client, connect } from "../../../shared/index.ts";
import { durableTask, task } from "../../../shared/task.ts";
import { startWorker, type Worker } from "../../../worker/index.ts";
import {
  type CommandResult,
  contrail,
  type JsonObject,
  jsonLines,
  startContrail,
} from "../../helpers/contrail.ts";
import { startTestServer, type TestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

const hello = task({
  name: "hello",
  run: (input: { name: string }) => ({ text: `hi ${input.name}` }),
});
const wait = durableTask({
  name: "wait/for",
  run: async (id: string, ctx) => {
    await ctx.step("look", () => 1);
    const found = await ctx.waitForEvent("thing.done", { where: { id }, timeout: "1 day" });
    return found?.data;
  },
});
const fail = task({
  name: "fail",
  retries: 0,
  run: () => {
    throw new RangeError("too much");
  },
});
let isInOrder = false;
const shaky = durableTask({
  name: "shaky",
  run: (_: undefined, ctx) =>
    ctx.step(
      "act",
      () => {
        if (!isInOrder) throw new RangeError("out of order");
        return "acted";
      },
      { retries: 0 },
    ),
});
/** All of its runs are ended together. */
const linger = durableTask({ name: "linger", run: (_: undefined, ctx) => ctx.sleepFor("1h") });
let letGo: () => void = () => {};
const busy = task({ name: "busy", run: () => new Promise<void>((resolve) => (letGo = resolve)) });

interface World {
  server: TestServer;
  engine: Engine;
  worker: Worker;
  client: Client;
}

const test = anyTest as TestFn<World>;

test.before(async (t) => {
  const server = await startTestServer();
  const servers = server.url;
  const engine = await startEngine({ servers, shards: 2 });
  const tasks = [hello, wait, fail, shaky, linger, busy];
  const worker = await startWorker({ servers, tasks, slots: { regular: 3, durable: 5 } });
  const client = await connect({ servers });
  t.context = { server, engine, worker, client };
});

test.after.always(async (t) => {
  const { client, worker, engine, server } = t.context;
  letGo();
  await client?.close();
  await worker?.close();
  await engine?.close();
  await server?.stop();
});

function run(t: { context: World }, ...args: string[]): Promise<CommandResult> {
  return contrail(args, { cwd: process.cwd(), server: t.context.server.url });
}

/** Runs a command that succeeds with one line of JSON. */
async function json(t: { context: World }, ...args: string[]): Promise<JsonObject> {
  const { code, stdout, stderr } = await run(t, "--json", ...args);
  if (code !== 0 || stderr !== "") throw new Error(`exit code ${code}: ${stderr}`);
  const [line, ...more] = jsonLines(stdout);
  if (!line || more.length > 0) throw new Error(`expected one line: ${stdout}`);
  return line;
}

/** Starts a run that waits for its event, and returns when it waits. */
async function waiting({ context: { client } }: { context: World }, id: string): Promise<void> {
  const handle = await client.start(wait, id, { id });
  await until(async () => (await handle.view()).hasRegistration);
}

test("start prints the run it started, and starts it once for one id", async (t) => {
  const args = ["start", "hello", "--input", '{"name":"Ada"}', "--id", "greeting"];
  for (const _ of [1, 2]) {
    const { code, stdout, stderr } = await run(t, ...args);
    t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "hello/greeting\n", stderr: "" });
  }
  t.deepEqual(await json(t, ...args), { taskName: "hello", runId: "greeting" });
  t.is((await t.context.client.list({ taskName: "hello", runId: "greeting" })).length, 1);
});

test("start refuses another input for the same id", async (t) => {
  await run(t, "start", "hello", "--input", '{"name":"Ada"}', "--id", "taken");
  const { code, stderr } = await run(
    t,
    "start",
    "hello",
    "--input",
    '{"name":"Bo"}',
    "--id",
    "taken",
  );
  t.is(code, 1);
  t.regex(stderr, /^error run-conflict: Run "taken" .*another input/);
});

test("start --wait prints the output", async (t) => {
  const args = ["start", "hello", "--input", "-", "--wait"];
  const options = { cwd: process.cwd(), server: t.context.server.url, stdin: '{"name":"Ada"}' };
  const { code, stdout, stderr } = await contrail(args, options);
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '{"text":"hi Ada"}\n', stderr: "" });
  const line = await json(t, "start", "hello", "--input", '{"name":"Bo"}', "--id", "w", "--wait");
  t.deepEqual(line, {
    taskName: "hello",
    runId: "w",
    status: "completed",
    output: { text: "hi Bo" },
  });
});

test("start --wait fails when the run fails", async (t) => {
  const { code, stdout, stderr } = await run(t, "start", "fail", "--wait", "--id", "f");
  t.is(code, 1);
  t.is(stdout, "");
  t.is(stderr, 'error run-failed: Run "f" of task "fail" failed: too much\n');
  const asJson = await run(t, "start", "fail", "--wait", "--id", "g", "--json");
  t.is(asJson.code, 1);
  t.deepEqual(jsonLines(asJson.stdout), [
    {
      taskName: "fail",
      runId: "g",
      status: "failed",
      error: { name: "RangeError", message: "too much" },
    },
  ]);
  t.is(jsonLines(asJson.stderr)[0]?.["error"], "run-failed");
});

test("start --wait tells why it takes long, and Ctrl-C leaves the run alone", async (t) => {
  const { url: server } = t.context.server;
  const args = ["start", "wait/for", "--input", '"long"', "--id", "long", "--wait"];
  const command = startContrail(t, args, { cwd: process.cwd(), server });
  await command.printed(/^Run "long" of task "wait\/for" waits since .*\.$/m);
  command.signal("SIGINT");
  const { code, stdout, stderr } = await command.ended;
  t.deepEqual([code, stdout], [130, ""]);
  t.regex(
    stderr,
    /^The run goes on\. "contrail show wait\/for\/long" tells what becomes of it\.$/m,
  );
  t.is((await t.context.client.get(wait, "long").view()).state.status, "waiting");
});

test("runs lists runs by task and status, the newest first, and says that there are more", async (t) => {
  for (const id of ["l1", "l2", "l3"]) await waiting(t, id);
  const all = await run(t, "runs", "--task", "wait/for", "--status", "waiting", "--json");
  t.is(all.code, 0);
  const lines = jsonLines(all.stdout);
  const ids = lines.map(({ runId }) => String(runId)).filter((id) => /^l\d$/.test(id));
  t.deepEqual(ids, ["l3", "l2", "l1"], "those of other tests may lie between");
  t.deepEqual(Object.keys(lines[0] ?? {}), [
    ...["taskName", "runId", "status", "startedAt", "changedAt", "isChild"],
  ]);
  t.regex(String(lines[0]?.["startedAt"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const few = await run(t, "runs", "--task", "wait/for", "--limit", "2");
  t.regex(
    few.stdout,
    /^TASK +RUN +STATUS +STARTED +CHANGED\nwait\/for +\S+ +\w+ .*\nwait\/for .*\n$/,
  );
  t.is(few.stderr, "There are more: these are the newest 2.\n");
  const none = await run(t, "runs", "--task", "nothing");
  t.deepEqual([none.code, none.stdout, none.stderr], [0, "", "There are no such runs.\n"]);
});

test("show prints passes with worker and pool, steps, waits and what is waited for", async (t) => {
  await waiting(t, "s1");
  const { code, stdout } = await run(t, "show", "s1");
  t.is(code, 0);
  const { id } = t.context.worker;
  const pass = new RegExp(`1 +${id} +durable +begins`);
  for (const part of [
    /^run {6}wait\/for\/s1\nstatus {3}waiting since .*\nstarted {2}.* by client\ninput {4}"s1"\n/,
    pass,
    /\d+ ms +1 +step "look"/,
    /waits for event "thing\.done" where \{ id: "s1" \} or the time .* \(in (?:1 d|23 h 59 min)\)/,
    /gives its slot back/,
    /\nwaits {4}since .* for event "thing\.done"/,
  ])
    t.regex(stdout, part);
  await t.context.client.publish("thing.done", { id: "s1" });
  await t.context.client.get(wait, "s1").result();
  const shown = await json(t, "show", "wait/for/s1");
  t.like(shown, {
    taskName: "wait/for",
    runId: "s1",
    status: "completed",
    output: { id: "s1" },
    waits: [],
  });
  const timeline = shown["timeline"] as readonly JsonObject[];
  t.deepEqual(
    timeline.map(({ pass: number, kind }) => `${String(number)} ${String(kind)}`),
    [
      ...["0 started", "1 claimed", "1 step", "1 wait", "1 evicted"],
      ...["2 claimed", "2 happened", "2 ended"],
    ],
  );
  t.like(timeline[2], { worker: id, pool: "durable", attempts: 1, text: 'step "look"' });
  t.regex(String(timeline[5]?.["text"]), /^resumes: something it waits for has happened$/);
});

test("why says one sentence for a run that waits, one that is held, one that ended", async (t) => {
  await waiting(t, "y1");
  const { stdout } = await run(t, "why", "y1");
  t.regex(
    stdout,
    /^Run "y1" of task "wait\/for" waits since .* for event "thing\.done" where .* or the time .*: the server wakes it when its time has come; an engine wakes it when a matching event is published\.\n$/,
  );
  await t.context.client.start(busy, undefined, { id: "b1" });
  await until(async () =>
    (await t.context.client.leases()).some(({ held }) => held.some((slot) => slot.run === "b1")),
  );
  const held = await json(t, "why", "busy/b1");
  t.deepEqual(Object.keys(held), ["taskName", "runId", "status", "since", "why"]);
  t.is(held["status"], "running");
  t.regex(String(held["why"]), /worker \S+ holds one of its 3 regular slots for it since/);
  const { code, stdout: slots } = await run(t, "slots", "--json");
  t.is(code, 0);
  const leases = jsonLines(slots);
  t.deepEqual(
    leases.map(({ pool, capacity }) => [pool, capacity]),
    [
      ["regular", 3],
      ["durable", 5],
    ],
  );
  const heldRuns = leases[0]?.["held"] as readonly JsonObject[]; // those of other tests may be there too
  t.truthy(heldRuns.find(({ task: name, run: id }) => name === "busy" && id === "b1"));
  const text = await run(t, "slots");
  t.regex(text.stdout, /[1-3] of 3 regular slots are held, 0 of 5 durable slots are held/);
  t.regex(text.stdout, /regular +busy +b1 /);
  letGo();
  await t.context.client.get(busy, "b1").result();
  t.regex((await run(t, "why", "b1")).stdout, /completed at/);
});

test("why tells of a task that no worker knows", async (t) => {
  await t.context.client.start("unheard-of", 1, { id: "u1" });
  t.regex(
    (await run(t, "why", "u1")).stdout,
    /is queued since .*: no worker has ever registered its task\.$/m,
  );
});

test("cancel asks a run to end, once, with its reason", async (t) => {
  await waiting(t, "c1");
  const first = await run(t, "cancel", "c1", "--reason", "enough");
  t.deepEqual([first.code, first.stdout, first.stderr], [0, "", "wait/for/c1 is asked to end.\n"]);
  await t.throwsAsync(t.context.client.get(wait, "c1").result(), { message: /canceled.*enough/ });
  const asked = (await t.context.client.get(wait, "c1").view()).cancelRequest;
  const again = await json(t, "cancel", "c1");
  t.deepEqual(again, { taskName: "wait/for", runId: "c1", requested: false, status: "canceled" });
  const { cancelRequest } = await t.context.client.get(wait, "c1").view();
  t.deepEqual(cancelRequest, asked, "nothing is asked of a run that has ended");
});

test("cancel ends many runs by a filter, after a dry run that counts, and terminates them if told to", async (t) => {
  const { client } = t.context;
  const names = ["many-1", "many-2"];
  for (const id of names) await client.start(linger, undefined, { id });
  const select = ["--all", "--task", linger.name];
  const counted = await json(t, "cancel", ...select, "--dry-run");
  t.deepEqual(counted, { matched: 2, done: 0, refused: 0, dryRun: true });
  t.is((await client.get(linger, "many-1").view()).cancelRequest, undefined);
  const { code, stderr } = await run(t, "cancel", ...select, "--terminate", "--reason", "over");
  t.is(code, 0);
  t.is(stderr, "2 of 2 open runs are asked to end.\n");
  for (const id of names)
    await t.throwsAsync(client.get(linger, id).result(), { message: /terminated by .*over/ });
  for (const args of [["cancel"], ["cancel", "x", "--all"]])
    t.regex((await run(t, ...args)).stderr, /Name the runs to cancel, or select them with --all/);
});

test("publish wakes who waits, and prints the number of the event", async (t) => {
  await waiting(t, "p1");
  const { code, stdout, stderr } = await run(t, "publish", "thing.done", '{"id":"p1","n":1}');
  t.deepEqual([code, stderr], [0, ""]);
  t.regex(stdout, /^\d+\n$/);
  t.deepEqual(await t.context.client.get(wait, "p1").result(), { id: "p1", n: 1 });
  const next = await json(t, "publish", "thing.else");
  t.deepEqual(Object.keys(next), ["event", "sequence"]);
  t.true(Number(next["sequence"]) > Number(stdout));
});

test("retry, resume and skip repair runs that are named or selected, and say what they refuse", async (t) => {
  const { client } = t.context;
  const broken = ["r1", "r2"].map((id) => client.start(shaky, undefined, { id }));
  for (const failed of await Promise.all(broken))
    await t.throwsAsync(failed.result(), { message: /out of order/ });
  const select = ["--all", "--task", "shaky", "--because", "out of order", "--since", "1h"];
  const counted = await json(t, "retry", ...select, "--dry-run");
  t.deepEqual(counted, { matched: 2, done: 0, refused: 0, dryRun: true });
  const skipped = await json(t, "skip", "shaky/r2", "act", '"by hand"', "--reason", "why not");
  t.deepEqual(skipped, { taskName: "shaky", runId: "r2", requested: true });
  t.is(await client.get(shaky, "r2").result(), "by hand");
  const args = ["fork", "shaky/r1", "--id", "r3", "--entries", "0", "--input", "7"];
  t.deepEqual(await json(t, ...args), { taskName: "shaky", runId: "r3" });
  t.is((await run(t, "fork", "shaky/r1", "--results", "[]")).code, 2);
  isInOrder = true;
  t.is((await run(t, "retry", "r1", "--task", "shaky", "--from", "act")).code, 0);
  t.is(await client.get(shaky, "r1").result(), "acted");
  const none = await run(t, "retry", "r1", "shaky/r2");
  t.is(none.code, 1);
  t.is(
    none.stderr.match(/^error repair-refused: .* is completed and cannot be retried/gm)?.length,
    2,
  );
  t.deepEqual(await json(t, "resume", "--all"), { matched: 0, done: 0, refused: 0, dryRun: false });
  for (const args of [["resume"], ["retry", "r1", "--all"], ["skip", "r1", "act", "{"]])
    t.is((await run(t, ...args)).code, 2, args.join(" "));
});

test("show numbers the entries of a run as fork keeps them", async (t) => {
  await waiting(t, "n1");
  const { stdout } = await run(t, "show", "n1");
  t.regex(stdout, /^ENTRY +WHEN +PASS /m);
  const number = /^(\d+) .* step "look"$/m.exec(stdout)?.[1] ?? "none";
  const timeline = (await json(t, "show", "n1"))["timeline"] as readonly JsonObject[];
  t.is(timeline.find(({ kind }) => kind === "step")?.["entry"], Number(number));
  t.regex(
    (await run(t, "help", "fork")).stdout,
    /up to the one that\s+"contrail show" gives this number/,
  );
  t.regex((await run(t, "help", "show")).stdout, /ENTRY counts the entries/);
  const forked = async (entries: string): Promise<readonly string[]> => {
    const { runId } = await json(t, "fork", "wait/for/n1", "--entries", entries);
    const origin = await t.context.client.get(wait, String(runId)).history();
    const copied = origin.commits.filter(({ sequence }) => sequence === origin.startSequence);
    return copied.flatMap(({ entries: kept }) => kept.map(({ kind }) => kind));
  };
  t.deepEqual(await forked(number), ["step-completed"]);
  t.deepEqual(await forked(String(Number(number) - 1)), []);
});

test.serial("why tells of an event that came and cannot match the filter", async (t) => {
  await waiting(t, "42");
  const { sequence } = await t.context.client.publish("thing.done", { id: 42 });
  t.regex(
    (await run(t, "why", "wait/for/42")).stdout,
    new RegExp(
      `where \\{ id: "42" \\} .*event "thing\\.done", number ${sequence} of the events, came and cannot match: its "id" is the number 42, and the filter asks for the text "42"\\.`,
    ),
  );
});

test("a run id that two tasks have is refused with both, and found with its task", async (t) => {
  await t.context.client.start(hello, { name: "x" }, { id: "both" });
  await t.context.client.start("other", 1, { id: "both" });
  const { code, stderr } = await run(t, "show", "both");
  t.is(code, 2);
  t.regex(stderr, /"both" may mean several runs: .*"hello".*--task/);
  t.is((await json(t, "show", "both", "--task", "other"))["taskName"], "other");
  t.is((await json(t, "show", "hello/both"))["taskName"], "hello");
});

test("a run that is not there is not found", async (t) => {
  for (const args of [
    ["show", "nobody"],
    ["why", "no/body"],
    ["cancel", "x", "--task", "y"],
  ]) {
    const { code, stdout, stderr } = await run(t, ...args);
    t.is(code, 1);
    t.is(stdout, "");
    t.regex(stderr, /^error run-not-found: There is no run .*\n$/);
  }
});

test("a namespace that is not there is named", async (t) => {
  const { code, stderr } = await run(t, "runs", "--namespace", "nowhere");
  t.is(code, 1);
  t.regex(stderr, /^error incompatible-setup: There is no namespace "nowhere".*contrail setup/);
});

const HOSTILE_IDS = ["*", "a.b.>", "../ü 😀 $(id)", "-x", "__proto__", "/"];

test("hostile ids are stored and found as they are", async (t) => {
  for (const id of HOSTILE_IDS) {
    const started = await json(t, "start", "hello", "--input", '{"name":"x"}', `--id=${id}`);
    t.deepEqual(started, { taskName: "hello", runId: id });
  }
  const shown = await json(t, "show", "--", "-x");
  t.is(shown["runId"], "-x");
  t.is((await json(t, "why", "hello/*"))["runId"], "*");
});

test("names that cannot be used are refused by name", async (t) => {
  const long = "x".repeat(5_000);
  for (const [args, expected] of [
    [["start", "hello", "--id", ""], /run id "" is empty/],
    [["start", "hello", "--id", long], /run id .*5000 bytes/],
    [["start", "", "--id", "a"], /task name "" is empty/],
    [["show", ""], /run id "" is empty/],
    [["show", long], /run id .*5000 bytes/],
    [["why", `hello/${long}`], /run id .*5006 bytes/],
    [["publish", "a.*"], /event name "a\.\*" has a wildcard/],
    [["publish", long], /event name .*200 bytes/],
    [["runs", "--namespace", "a.b"], /namespace "a\.b" cannot be used/],
  ] as const) {
    const { code, stdout, stderr } = await run(t, ...args);
    t.is(code, 2, stderr);
    t.is(stdout, "");
    t.regex(stderr, expected);
    t.true(stderr.length < 1_000, stderr);
  }
});

test("an input larger than a message is stored apart, and shown with its size", async (t) => {
  const stdin = JSON.stringify({ name: "x".repeat(2_000_000) });
  const options = { cwd: process.cwd(), server: t.context.server.url, stdin };
  const id = "large-input";
  const started = await contrail(["start", "hello", "--id", id, "--input", "-"], options);
  t.is(started.code, 0, started.stderr);
  const { stdout } = await run(t, "show", `hello/${id}`);
  t.regex(stdout, /input +\{"payload":"hello\/large-input\/[\w-]+","bytes":2000\d\d\d\}/);
  const exported = await run(t, "export", `hello/${id}`);
  t.true(exported.stdout.length > 2_000_000);
});

test("names that command a terminal are printed harmlessly", async (t) => {
  const id = "x\u001b[2Jy";
  await t.context.client.start(hello, { name: "\u001b[31m" }, { id });
  for (const args of [["runs"], ["show", id], ["why", id]])
    t.false((await run(t, ...args)).stdout.includes("\u001b"), args[0]);
});
