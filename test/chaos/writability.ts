/** Which server leads a stream, and how long it takes until a shard of the log takes writes again. */
import { callApi } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { pause } from "./pause.ts";
import { probeId, startProbe } from "./probes.ts";
import type { World } from "./world.ts";

const GIVE_UP_MS = 60_000;
const ASK_EVERY_MS = 50;
const ANSWER_MS = 400;

/** The name of the server that leads a stream; nothing while there is none. */
export async function leaderOf(link: NatsLink, stream: string): Promise<string | undefined> {
  const info = await callApi(link.requests, `STREAM.INFO.${stream}`, {}, { withinMs: 3_000 });
  return (info["cluster"] as { readonly leader?: string } | undefined)?.leader;
}

/** Resolves when every shard of the log takes writes, with how many milliseconds that took. */
export async function untilAllWritable(world: World): Promise<number> {
  const since = performance.now();
  const shards = Array.from({ length: world.names.shardCount }, (_, shard) => shard);
  return Math.max(...(await Promise.all(shards.map((s) => untilWritable(world, s, since)))));
}

/**
 * Starts a run in a shard, again and again until its start is stored. It has no events to wait for and
 * does nothing.
 * @returns How many milliseconds after `since` (by `performance.now`) that was.
 */
export async function untilWritable(world: World, shard: number, since: number): Promise<number> {
  const taskName = "chaos-job";
  const runId = probeId(world, { taskName, shard });
  const input = { value: 0, ms: 0, failures: 0, mode: "ok" } as const;
  while (performance.now() - since < GIVE_UP_MS) {
    const answer = startProbe(world, runId, { taskName, input });
    const outcome = await Promise.race([answer, pause(ANSWER_MS)]);
    // Refused by the guard: one of those before it was stored.
    if (outcome?.ok || outcome?.kind === "guard") return Math.round(performance.now() - since);
    await pause(ASK_EVERY_MS);
  }
  throw new Error(`${world.names.logStream(shard)} took no write for ${GIVE_UP_MS} ms.`);
}
