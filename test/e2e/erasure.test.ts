/** What docs/durability.md says of a vault: whatever is erased comes back, and runs go on. */
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { deleteStream } from "../../shared/jetstream/admin.ts";
import { callApi, errorOf } from "../../shared/jetstream/api.ts";
import { connectNats, type NatsLink } from "../../shared/jetstream/connection.ts";
import { until } from "../helpers/until.ts";
import { DocumentedCommands } from "./harness/documented.ts";
import { checkQuiet, forEachWorld, type World } from "./harness/index.ts";
import { startStates } from "./harness/states.ts";

const tasksFile = new URL("./tasks/stored.js", import.meta.url);
const documented = await DocumentedCommands.of("docs/durability.md");
/** Where the official command line is neither found nor can be built, these tests are skipped. */
const test = ("missing" in documented ? anyTest.skip : anyTest) as TestFn;
const VAULT = { user: "vault", pass: "secret" };

function docs(): DocumentedCommands {
  if ("missing" in documented) throw new Error(documented.missing);
  return documented;
}

/** The documented accounts, with the users that the harness connects as. */
function configuration(): string {
  const users = [0, 1, 2].map((i) => `{ user: e2e${i}, password: secret }`).join(", ");
  return docs()
    .block("accounts")
    .replace("{ user: app, password: app-password }", users)
    .replace("vault-password", VAULT.pass);
}

/** Carries a block out, as the user of the vault or of the namespace. */
async function carryOut(
  t: ExecutionContext,
  { access, folder }: World,
  { block, inVault = false }: { readonly block: string; readonly inVault?: boolean },
): Promise<void> {
  const as = inVault ? { ...access, ...VAULT } : access;
  t.log(block, (await docs().run(block, { access: as, folder })).slice(-1_000));
}

function streamsOf({ setup: { names, shardCount } }: World): string[] {
  const logs = Array.from({ length: shardCount }, (_, shard) => names.logStream(shard));
  return [names.eventsStream, names.payloadsStream, ...logs];
}

/** Waits until the mirrors have all of their streams. */
async function untilMirrored(world: World, vault: NatsLink): Promise<void> {
  for (const stream of streamsOf(world))
    await until(
      async () => {
        const origin = await world.link.reader.streamState(stream);
        const mirror = await vault.reader.streamState(stream);
        return origin !== undefined && mirror?.lastSequence === origin.lastSequence;
      },
      { withinMs: 30_000, what: `the mirror of ${stream} has all of it` },
    );
}

/** A hostile client, a careless purge, and streams that are gone altogether. */
async function eraseAll(world: World): Promise<void> {
  const { link, setup } = world;
  const [first, second] = [setup.names.logStream(0), setup.names.logStream(1)];
  const rolled = await link.publisher.publish("contrail.log.0.x.x.h", new Uint8Array(1), [
    ["Nats-Rollup", "all"],
  ]);
  if (!rolled.ok) throw new Error(`The rollup was refused: ${rolled.kind}`);
  const purged = await callApi(link.requests, `STREAM.PURGE.${second}`, {});
  if (errorOf(purged)) throw new Error("The purge was refused.");
  for (const stream of streamsOf(world))
    if (stream !== first && stream !== second) await deleteStream(link.requests, stream);
}

forEachWorld(anyTest, (title, open) => {
  test(`${title}: runs in every state go on after a rollup, a purge and deletes have erased them, from a vault`, async (t) => {
    const world = await open(t, { ownServers: true, config: configuration(), shards: 4 });
    const vault = await connectNats({ ...world.access, ...VAULT });
    t.teardown(() => vault.close());
    await carryOut(t, world, { block: "save configurations" });
    await carryOut(t, world, { block: "make mirrors", inVault: true });
    const states = await startStates(world, tasksFile);
    await states.engine.stop();
    await world.client.publish("stored.go", { id: "told" }); // nobody has matched it yet
    await states.worker.end();
    await untilMirrored(world, vault);
    const before = world.effects.read().length;
    await eraseAll(world);
    await carryOut(t, world, { block: "back up the vault", inVault: true });
    await carryOut(t, world, { block: "restore from the vault" });
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
    await untilMirrored(world, vault); // they follow what was restored
  });
});
