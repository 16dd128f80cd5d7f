/** An account that holds mirrors, and what they are a protection from. */
import type { ExecutionContext } from "ava";
import { deleteStream } from "../../../shared/jetstream/admin.ts";
import { callApi, errorOf } from "../../../shared/jetstream/api.ts";
import { connectNats, type NatsLink } from "../../../shared/jetstream/connection.ts";
import { until } from "../../helpers/until.ts";
import { streamsOf } from "./stores.ts";
import type { World } from "./world.ts";

/** The user of the vault. */
export const VAULT: { readonly user: string; readonly pass: string } = {
  user: "vault",
  pass: "secret",
};

/** Connects to the vault, for one test. */
export async function openVault(t: ExecutionContext, { access }: World): Promise<NatsLink> {
  const vault = await connectNats({ ...access, ...VAULT });
  t.teardown(() => vault.close());
  return vault;
}

/** Waits until the mirrors have all of their streams. */
export async function untilMirrored(world: World, vault: NatsLink): Promise<void> {
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
export async function eraseAll(world: World): Promise<void> {
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
