/** What a program without types may hand to a client: refused by name, and nothing is stored. */
import test from "ava";
import { startEngine } from "../../engine/index.ts";
import { setupNamespace } from "../../engine/setup.ts";
import { clientOver, connect, type RunHandle } from "../../shared/client.ts";
import { InvalidInputError, UnavailableError } from "../../shared/errors.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import { task } from "../../shared/task.ts";
import { startWorker } from "../../worker/index.ts";

async function openClient() {
  const world = new MemoryWorld();
  const link = world.link("client");
  const { names } = await world.run(setupNamespace(link, { shards: 1 }));
  return { world, link, client: clientOver(link, names, "client") };
}

test("arguments that a client cannot use are refused by name, and no run is touched", async (t) => {
  const { world, client } = await openClient();
  const run = await world.run(client.start("order", 1, { id: "mine" }));
  const loose = client as unknown as { [method: string]: (...args: unknown[]) => Promise<unknown> };
  const handle = run as unknown as typeof loose;
  const uses: readonly (readonly [() => Promise<unknown> | undefined, RegExp])[] = [
    [() => loose["start"]?.("order", 1, "id"), /third argument of start\(\) is "id"/],
    [() => loose["start"]?.("order", 1, { ID: "x" }), /unknown option "ID". Expected id, by/],
    [() => loose["start"]?.("order", 1, { by: 7 }), /option by of start\(\) is 7. Expected a text/],
    [() => loose["list"]?.({ task: "order" }), /unknown option "task". Expected taskName/],
    [() => loose["list"]?.({ status: "done" }), /status is "done". Expected one of queued, /],
    [() => loose["list"]?.({ limit: -1 }), /limit is -1/],
    [() => loose["list"]?.({ limit: "many" }), /limit is "many"/],
    [() => loose["bulk"]?.("kill", {}), /action is "kill". Expected one of resume, retry/],
    [() => loose["bulk"]?.("cancel"), /filter of bulk\(\) is undefined/],
    [() => loose["bulk"]?.("cancel", { task: "other" }), /unknown option "task"/],
    [() => loose["bulk"]?.("cancel", {}, { dryRun: true }), /unknown option "dryRun"/],
    [() => loose["bulk"]?.("cancel", {}, { reason: 1 }), /reason is 1. Expected a text/],
    [() => handle["cancel"]?.({ reason: 5 }), /reason is 5. Expected a text/],
    [
      () => handle["cancel"]?.({ because: "x" }),
      /options of cancel\(\) has an unknown option "bec/,
    ],
    [
      () => handle["terminate"]?.({ by: "x" }),
      /options of terminate\(\) has an unknown option "by/,
    ],
    [() => handle["terminate"]?.(null), /reason is null. Expected a text/],
    [() => handle["resume"]?.({ reason: 5 }), /reason is 5/],
    [() => handle["fork"]?.({ reason: 5 }), /reason is 5/],
    [() => handle["fork"]?.({ ID: "x" }), /unknown option "ID"/],
  ];
  for (const [use, message] of uses) {
    const refused = (async () => use())();
    await t.throwsAsync(world.run(refused), { instanceOf: InvalidInputError, message });
  }
  const { state } = await world.run(run.view());
  t.is(state.status, "queued");
  t.is(
    (await world.run(client.list({ status: "queued", limit: Number.POSITIVE_INFINITY }))).length,
    1,
  );
});

test("a reason to cancel or terminate is given by itself or in options", async (t) => {
  const { world, client } = await openClient();
  const asked = async (id: string, ask: (run: RunHandle) => Promise<void>) => {
    const run = await world.run(client.start("order", 1, { id }));
    await world.run(ask(run));
    return (await world.run(run.view())).cancelRequest?.reason;
  };
  t.is(await asked("a", (run) => run.cancel("late")), "late");
  t.is(await asked("b", (run) => run.cancel({ reason: "late" })), "late");
  t.is(await asked("c", (run) => run.terminate({ reason: "late" })), "late");
  t.is(await asked("d", (run) => run.cancel({})), "");
  t.is(await asked("e", (run) => run.cancel()), "");
});

test("a client, an engine and a worker that are given no options say what they need", async (t) => {
  for (const [name, start] of Object.entries({ connect, startEngine, startWorker })) {
    const loose = start as unknown as (...args: unknown[]) => Promise<unknown>;
    for (const args of [[], [null], ["nats://me:secret@127.0.0.1:1"]]) {
      const error = await t.throwsAsync(loose(...args), { instanceOf: InvalidInputError });
      t.is(
        error?.message,
        `${name}() was called without an object of options. It has to know the servers, as in { servers: "nats://127.0.0.1:4222" }.`,
      );
    }
    const message = /^No servers were given.* option `servers`/;
    const without = loose({ tasks: [task({ name: "order", run: () => 1 })] });
    await t.throwsAsync(without, { instanceOf: InvalidInputError, message });
  }
});

test("what a closed client is asked to write is refused, and the error says why", async (t) => {
  const { world, link, client } = await openClient();
  const run = client.get("order", "mine");
  await world.run(link.close());
  const message = /the connection is closed/;
  for (const write of [() => client.start("order", 1), () => client.publish("order.paid", 1)])
    await t.throwsAsync(world.run<unknown>(write()), { instanceOf: UnavailableError, message });
  await t.throwsAsync(world.run(run.cancel()), { instanceOf: UnavailableError });
});
