/** What docs/durability.md says of a vault: whatever is erased comes back, and runs go on. */
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { DocumentedCommands } from "./harness/documented.ts";
import { forEachWorld, type World } from "./harness/index.ts";
import { startStates } from "./harness/states.ts";
import { eraseAll, openVault, untilMirrored, VAULT } from "./harness/vault.ts";

const tasksFile = new URL("./tasks/stored.js", import.meta.url);
const documented = await DocumentedCommands.of("docs/durability.md");
/** Where the official command line is neither found nor can be built, these tests are skipped. */
const test = ("missing" in documented ? anyTest.skip : anyTest) as TestFn;

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

forEachWorld(anyTest, (title, open) => {
  test(`${title}: runs in every state go on after a rollup, a purge and deletes have erased them, from a vault`, async (t) => {
    const world = await open(t, { ownServers: true, config: configuration(), shards: 4 });
    const vault = await openVault(t, world);
    await carryOut(t, world, { block: "save configurations" });
    await carryOut(t, world, { block: "make mirrors", inVault: true });
    const states = await startStates(world, tasksFile);
    await states.engine.stop();
    await world.client.publish("stored.go", { id: "told" }); // nobody has matched it yet
    await states.worker.end();
    await untilMirrored(world, vault);
    await eraseAll(world);
    await carryOut(t, world, { block: "back up the vault", inVault: true });
    await carryOut(t, world, { block: "restore from the vault" });
    await states.goOn(t);
    await untilMirrored(world, vault); // they follow what was restored
  });
});
