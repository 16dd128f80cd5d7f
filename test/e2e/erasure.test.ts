/** What docs/durability.md says of mirrors: whatever is erased comes back, and runs go on. */
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { deleteStream } from "../../shared/jetstream/admin.ts";
import { callApi, errorOf } from "../../shared/jetstream/api.ts";
import { contrail } from "../helpers/contrail.ts";
import { until } from "../helpers/until.ts";
import { DocumentedCommands } from "./harness/documented.ts";
import { checkQuiet, forEachWorld, type World } from "./harness/index.ts";
import { startStates } from "./harness/states.ts";

const tasksFile = new URL("./tasks/stored.js", import.meta.url);
const documented = await DocumentedCommands.of("docs/durability.md");
const test = ("missing" in documented ? anyTest.skip : anyTest) as TestFn;

async function carryOut(t: ExecutionContext, world: World, block: string): Promise<void> {
  if ("missing" in documented) throw new Error(documented.missing);
  t.log(block, await documented.run(block, world));
}

/** Waits until the mirrors have all of their streams. */
async function untilMirrored({ link, setup }: World): Promise<void> {
  const { names, shardCount } = setup;
  const logs = Array.from({ length: shardCount }, (_, shard) => names.logStream(shard));
  for (const stream of [names.eventsStream, names.payloadsStream, ...logs])
    await until(async () => {
      const origin = await link.reader.streamState(stream);
      const mirror = await link.reader.streamState(`${stream}_mirror`);
      return origin !== undefined && mirror?.lastSequence === origin.lastSequence;
    });
}

/** A hostile client, a careless purge, and two streams that are gone altogether. */
async function eraseAll({ link, setup }: World): Promise<void> {
  const { names } = setup;
  const rolled = await link.publisher.publish("contrail.log.0.x.x.h", new Uint8Array(1), [
    ["Nats-Rollup", "all"],
  ]);
  if (!rolled.ok) throw new Error(`The rollup was refused: ${rolled.kind}`);
  const purged = await callApi(link.requests, `STREAM.PURGE.${names.logStream(1)}`, {});
  if (errorOf(purged)) throw new Error("The purge was refused.");
  for (const stream of [names.eventsStream, names.payloadsStream])
    await deleteStream(link.requests, stream);
}

forEachWorld(anyTest, (title, open) => {
  test(`${title}: runs in every state go on after a rollup, a purge and deletes have erased them, from the mirrors`, async (t) => {
    const world = await open(t, { ownServers: true });
    await carryOut(t, world, "mirror");
    const states = await startStates(world, tasksFile);
    await states.engine.stop();
    await world.client.publish("stored.go", { id: "told" }); // nobody has matched it yet
    await states.worker.end();
    await untilMirrored(world);
    const before = world.effects.read().length;
    await eraseAll(world);
    t.is((await world.client.list()).length, 0, "nothing is left");
    await until(() => carryOut(t, world, "restore from mirrors").then(() => true));
    await carryOut(t, world, "restore from mirrors"); // again: nothing more happens
    await world.startEngine();
    await world.startWorker({ tasksFile });
    await states.finish(t);
    const again = world.effects
      .read()
      .slice(before)
      .map(({ run, step }) => `${run} ${step}`);
    t.deepEqual(
      again.filter((effect) => states.done.includes(effect)),
      [],
      "no finished step was executed again",
    );
    await checkQuiet(t, world);
    await untilMirrored(world); // they follow again
  });

  test(`${title}: a mirror that has less than its stream is not restored from, and the stream stays`, async (t) => {
    const world = await open(t);
    const { link, access, setup, folder } = world;
    const options = {
      cwd: folder,
      server: access.servers.join(","),
      env: { NATS_USER: access.user, NATS_PASSWORD: access.pass },
    };
    const none = await contrail(["mirror", "--restore"], options);
    t.is(none.code, 1);
    t.regex(none.stderr, /contrail_LOG_0 has no mirror/);
    t.is((await contrail(["mirror"], options)).code, 0);
    const stream = setup.names.logStream(1);
    const mirror = await link.reader.streamState(`${stream}_mirror`);
    await deleteStream(link.requests, `${stream}_mirror`);
    const { mirror: _, ...config } = mirror?.config ?? {};
    const follows = { ...config, mirror: { name: stream, filter_subject: "contrail.none" } };
    t.is(
      errorOf(await callApi(link.requests, `STREAM.CREATE.${stream}_mirror`, follows)),
      undefined,
    );
    await link.publisher.publish("contrail.log.1.x.x.h", new Uint8Array(1));
    const behind = await contrail(["mirror", "--restore"], options);
    t.is(behind.code, 1);
    t.regex(behind.stderr, /contrail_LOG_1 ends at 1 and its mirror at 0/);
    t.is((await link.reader.streamState(stream))?.messageCount, 1);
  });
});
