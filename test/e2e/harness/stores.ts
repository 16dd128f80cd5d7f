/** The streams that a namespace must not lose, and servers that lose them. */
import { rmSync } from "node:fs";
import { deleteStream } from "../../../shared/jetstream/admin.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { untilReplicating } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import type { World } from "./world.ts";

/** What a backup and a mirror are of: payloads, events and the log. */
export function streamsOf({ setup: { names, shardCount } }: World): string[] {
  const logs = Array.from({ length: shardCount }, (_, shard) => names.logStream(shard));
  return [names.eventsStream, names.payloadsStream, ...logs];
}

/** Loses every server with all that it stored, and starts new ones in their place. */
export async function loseServers({ topology, access }: World): Promise<void> {
  const { servers } = topology;
  await Promise.all(servers.map((server) => server.kill()));
  for (const { storeDir } of servers) rmSync(storeDir, { recursive: true, force: true });
  await Promise.all(servers.map((server) => server.start()));
  if (topology.replicas > 1) await untilReplicating(access);
}

/** Deletes what there is of the streams: a restore that ended halfway leaves some of them. */
export async function deleteStreams(world: World): Promise<void> {
  for (const stream of streamsOf(world)) await deleteStream(world.link.requests, stream);
}

/**
 * Waits until every server has all of what is stored. On a restored stream a replica that is behind
 * has none of the runs, and whoever lists them there gets a list without them.
 */
export async function untilReplicated(world: World): Promise<void> {
  const { link, topology } = world;
  for (const stream of streamsOf(world))
    await until(
      async () => {
        const { cluster } = (await callApi(
          link.requests,
          `STREAM.INFO.${stream}`,
          {},
        )) as StreamInfo;
        const copies = cluster?.replicas ?? [];
        return (
          copies.length === topology.replicas - 1 &&
          copies.every(({ current, lag = 0 }) => current && lag === 0)
        );
      },
      { withinMs: 60_000, what: `every server has all of ${stream}` },
    );
}

interface StreamInfo {
  readonly cluster?: { readonly replicas?: readonly Replica[] };
}

interface Replica {
  readonly current: boolean;
  readonly lag?: number;
}
