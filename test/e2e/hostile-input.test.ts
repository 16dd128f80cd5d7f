import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { forge } from "../helpers/forgery.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, forEachWorld, type World } from "./harness/index.ts";
import {
  anyEvent,
  badChildren,
  badOutput,
  badStep,
  badThrows,
  badValues,
  type Caught,
  echo,
  listener,
  odd0,
  odd1,
  odd2,
  odd3,
  odd4,
  odd5,
  oddNames,
  oddSteps,
} from "./tasks/hostile.ts";

const tasksFile = new URL("./tasks/hostile.js", import.meta.url);
const CLAIM_MS = 3_000;
const IDS: readonly string[] = [
  ...["*", ">", ".", "..", "a.b", "a b", "*.>", "$JS.API.>", "_", "__", "_2e", "%2e", "\t", "\r\n"],
  ...["\u0000", "__proto__", "constructor", "漢字", "🦊", "e\u0301", "é", "'\"\\", "x".repeat(128)],
];
const BAD_IDS: readonly [id: string, problem: RegExp][] = [
  ["", /is empty/],
  ["x".repeat(5_120), /has 5120 bytes/],
  ["é".repeat(65), /has 130 bytes/],
  ["a\ud800", /half of a surrogate pair/],
];
/** What each value that cannot be stored is refused with. */
const CODES: { readonly [name: string]: string } = Object.fromEntries(
  badValues.map((name) => [name, name === "large" ? "limit-exceeded" : "invalid-input"]),
);
const utf8 = new TextEncoder();

forEachWorld(test, (title, open) => {
  test(`${title}: runs and tasks of hostile names run under them, and a name that cannot be is refused`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startWorker({ tasksFile });
    const { client } = world;
    const runs = await Promise.all(IDS.map((id) => client.start(echo, { id }, { id })));
    for (const [i, run] of runs.entries()) {
      const id = IDS[i] as string;
      t.is(run.runId, id);
      t.deepEqual(await world.result(run), { id });
      t.is((await run.view()).runId, id);
    }
    const listed = await client.list({ taskName: "echo", limit: 1_000 });
    t.deepEqual(listed.map(({ runId }) => runId).sort(), [...IDS].sort());
    for (const [i, task] of [odd0, odd1, odd2, odd3, odd4, odd5].entries()) {
      const run = await client.start(task, i, { id: ">" });
      t.deepEqual(await world.result(run), { name: oddNames[i], input: i } as unknown);
    }
    for (const [id, problem] of BAD_IDS) {
      const bad = { code: "invalid-input", message: problem };
      await t.throwsAsync(client.start(echo, 1, { id }), bad);
      await t.throwsAsync(client.start(id, 1), bad);
      t.throws(() => client.get("echo", id), bad);
    }
    for (const value of [7, {}, Symbol("s")])
      await t.throwsAsync(client.start(echo, 1, { id: value as string }), {
        ...{ code: "invalid-input", message: /^The run id is of type / },
      });
    t.is((await client.list({ taskName: "echo", limit: 1_000 })).length, IDS.length);
  });

  test(`${title}: an input that cannot be stored starts nothing, and one that looks hostile arrives as it was`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startWorker({ tasksFile });
    const { client } = world;
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const bad: readonly [unknown, string][] = [
      [circle, "invalid-input"],
      [() => 1, "invalid-input"],
      [{ a: Symbol("s") }, "invalid-input"],
      [Promise.resolve(1), "invalid-input"],
      [new Uint8Array(64 * 2 ** 20 + 1), "limit-exceeded"],
    ];
    for (const [input, code] of bad) {
      await t.throwsAsync(client.start(echo, input, { id: "bad" }), { code });
      await t.throwsAsync(client.publish("hostile.event", input), { code });
    }
    t.deepEqual(await client.list(), []);
    await t.throwsAsync(client.get(echo, "bad").result(), { code: "run-not-found" });
    const odd: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":{"b":2},"":3,"\\u0000":4}');
    const seen = (await world.result(await client.start(echo, odd))) as object;
    t.is(Object.getPrototypeOf(seen), Object.prototype);
    t.deepEqual(Object.keys(seen).sort(), ["", "\u0000", "__proto_", "constructor"]);
    const data = { map: new Map([[{ a: 1 }, new Set([null])]]), big: 2n ** 70n, at: new Date(1) };
    t.deepEqual(await world.result(await client.start(echo, data)), data);
  });

  test(`${title}: results that cannot be stored fail their run or step with what is wrong, and the rest goes on`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const worker = await world.startWorker({ tasksFile });
    const { client } = world;
    for (const name of badValues) {
      const output = await client.start(badOutput, name);
      const error = await t.throwsAsync(world.result(output), { code: "run-failed" }, name);
      t.is((error?.cause as { code?: string } | undefined)?.code, CODES[name], name);
      t.regex(error?.message ?? "", /The (result of the run|output)/, name);
      const [caught, after] = await world.result(await client.start(badStep, name));
      t.is(after, "went on", name);
      t.is(caught.name, "StepFailedError", name);
      t.regex(caught.message, /The result of "bad" /, name);
    }
    const seen = await world.result(await client.start(badThrows, ""));
    t.is(seen.length, 16);
    for (const { name, message } of seen) {
      t.is(name, "StepFailedError");
      t.regex(message, /^Step "throw \d+" failed: /);
    }
    t.true(worker.isRunning);
    t.false(worker.hasLogged(/could not be handled/));
  });

  test(`${title}: steps and waits of hostile names are recorded and replayed`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startEngine();
    await world.startWorker({ tasksFile, warmRuns: 0 });
    const run = await world.client.start(oddSteps, "");
    const results = await world.result(run);
    t.deepEqual(results.slice(0, 8), [13, 1, 1, 3, 4, 9, 1, 64]);
    for (const refused of results.slice(8, 12) as Caught[]) t.is(refused.code, "invalid-input");
    t.is(results[12], "sleep");
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: children of hostile names run under them, and those that cannot be are refused where they are awaited`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startEngine();
    const worker = await world.startWorker({ tasksFile });
    await world.client.start(echo, "mine", { id: "taken" });
    const bad = BAD_IDS.map(([id]) => id).filter((id) => !id.includes("\ud800")); // no input has it
    const run = await world.client.start(badChildren, [...IDS, ...bad, "taken"]);
    const outcomes = await world.result(run, 60_000);
    t.deepEqual(outcomes.slice(0, IDS.length), IDS as unknown[]);
    const codes = (outcomes.slice(IDS.length) as Caught[]).map(({ code }) => code);
    t.deepEqual(codes, [
      ...bad.map(() => "invalid-input"),
      "run-conflict",
      ...badValues.map((name) => CODES[name]),
    ]);
    checkHistory(t, await world.endOf(run));
    t.false(worker.hasLogged(/could not be handled/));
  });

  test(`${title}: events of any name and payload reach those who wait for them, or fail their wait, and nobody else`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS, shards: 1 });
    const { client, link } = world;
    const engine = await world.startEngine();
    const worker = await world.startWorker({ tasksFile });
    const bystander = await client.start(listener, "bystander");
    const payloads: readonly [type: string, body: Uint8Array, data: unknown][] = [
      ["", new Uint8Array(), null],
      ["", utf8.encode("{ no JSON"), "{ no JSON"],
      ["", Uint8Array.of(0xff, 0xfe, 0x00), Uint8Array.of(0xff, 0xfe, 0x00)],
      ["application/json", utf8.encode('{"id":"bystander2","__proto__":1}'), undefined],
      ["application/cbor", Uint8Array.of(0xa1, 0x61, 0x61, 0x01), { a: 1 }],
      ["application/cbor", Uint8Array.of(0x9f, 0x01), Uint8Array.of(0x9f, 0x01)],
      ["application/cbor", Uint8Array.of(0xd8, 28, 0x81, 0xd8, 29, 0), undefined],
      ["application/cbor", Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff), undefined],
    ];
    const names = ["a", "é漢字", "__proto__", "$JS", "%2a"];
    for (const [i, [type, body, data]] of payloads.entries()) {
      const name = `hostile.${names[i % names.length]}.${i}`;
      const run = await client.start(anyEvent, i % 2 === 0 ? name : `hostile.*.${i}`);
      await forge(link, `events.${name}`, body, type === "" ? [] : [["Content-Type", type]]);
      const seen = (await world.result(run)) as { name: string; data: unknown };
      t.is(seen.name, name);
      if (data !== undefined) t.deepEqual(seen.data, data);
    }
    await refusesWhatIsTooLarge(world);
    for (const name of ["hostile.*", "a b", "a..b", "", "x".repeat(201), ">"])
      await t.throwsAsync(client.publish(name, 1), { code: "invalid-input" }, name);
    await client.publish("hostile.go", { id: "bystander" });
    t.deepEqual(await world.result(bystander), { id: "bystander" });
    t.true(engine.isRunning && worker.isRunning);
    t.false(worker.hasLogged(/could not be handled/));

    /** The server stores them, a message of the history cannot hold them. */
    async function refusesWhatIsTooLarge({ setup }: World): Promise<void> {
      const large = utf8.encode(`"${"x".repeat(link.maxPayload - 200)}"`);
      const deep = utf8.encode("[".repeat(50_000) + "]".repeat(50_000));
      for (const [body, name] of [
        [large, "large"],
        [deep, "deep"],
      ] as const) {
        const run: RunHandle = await client.start(anyEvent, `hostile.${name}`);
        const sequence = await forge(link, `events.hostile.${name}`, body);
        const seen = (await world.result(run)) as { code: string; message: string; data: string };
        if (name === "large") t.is(seen.data.length, link.maxPayload - 200);
        else t.is(seen.code, "invalid-input");
        if (name === "deep") t.regex(seen.message, /event hostile\./);
        const { state } = await run.view();
        t.true(state.consumedEvents.has(sequence), "it is not taken again");
        await until(async () => (await client.list({ status: "waiting" })).length === 1, {
          what: `only the bystander of ${setup.namespace} waits`,
        });
      }
    }
  });
});
