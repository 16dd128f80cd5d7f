/** What the namespace survives as it is, in plain words; docs/durability.md has the whole table. */
import { callApi, errorOf, type StreamInfo } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { durationText } from "../../shared/time-text.ts";
import { expectedStreams } from "../setup.ts";
import type { Finding } from "./findings.ts";
import type { SyncSetting } from "./sync.ts";

/** What is known of how messages are kept. */
export interface Keeping {
  readonly replicas: number;
  /** How servers write, as far as they told it. */
  readonly settings: readonly SyncSetting[];
  /** Addresses of the servers of the cluster, without ports. */
  readonly hosts: readonly string[];
}

/** Whether writes are synced at once; `undefined` when no server told it. */
type Synced = boolean | undefined;

/** Says what is survived. */
export function durabilityFinding({ replicas, settings, hosts }: Keeping): Finding {
  const isSynced: Synced =
    settings.length === 0 ? undefined : settings.every(({ isAlways }) => isAlways);
  const places = new Set(hosts).size;
  const isTogether = replicas > 1 && places < 2;
  const loss = lossText(settings, isSynced);
  const message =
    replicas === 1
      ? `One server holds each message. A kill of any process loses nothing that was acknowledged; a loss of power or a crash of its system ${loss}; and with its disk everything is lost.`
      : `${replicas} servers hold each message. Nothing that was acknowledged is lost with ${replicas === 3 ? "any one" : "any two"} of them, disk included; a loss of power of most of them at once ${loss}.${isTogether ? togetherText(hosts) : ""}`;
  return {
    check: "durability",
    verdict: replicas > 1 && isSynced === true && !isTogether ? "ok" : "note",
    message: `${message} Against erasure and damaged disks only backups help, and a mirror in another account, neither of which can be seen from here: docs/durability.md says how.`,
    details: { replicas, synced: isSynced ?? "unknown", hosts: [...new Set(hosts)] },
  };
}

function lossText(settings: readonly SyncSetting[], isSynced: Synced): string {
  if (isSynced === true) return "loses nothing either (sync_interval: always)";
  if (isSynced === undefined)
    return "loses the last writes unless the servers sync each one, which could not be seen";
  const longestMs = Math.max(...settings.map((one) => (one.isAlways ? 0 : one.intervalMs)));
  return `can lose what was acknowledged in the last ${durationText(longestMs)} (sync_interval)`;
}

function togetherText(hosts: readonly string[]): string {
  const where = hosts[0] === undefined ? "an unknown address" : hosts[0];
  return ` All servers that can be seen are at ${where}: what takes that machine takes all of them.`;
}

/** The addresses of the servers that the connected one knows of, itself included. */
export function hostsOf({ nc }: NatsLink): string[] {
  const urls = [nc.getServer(), ...(nc.info?.connect_urls ?? [])];
  return urls.map((url) => url.replace(/^[a-z]+:\/\//, "").replace(/:\d+$/, ""));
}

/** Streams from an offset on, as many as the server sends at once. */
interface StreamPage {
  readonly total: number;
  readonly streams: readonly StreamInfo[] | null;
}

/**
 * Mirrors in the namespace's own account that answer the direct reads of a stream of the namespace:
 * whoever reads finds what was purged, now and then. One finding for each.
 */
export async function findReadingMirrors(
  link: NatsLink,
  setup: NamespaceSetup,
): Promise<Finding[]> {
  const expected = expectedStreams({ ...setup, replicas: 1, eventsKeepMs: 0 });
  const own = new Set(expected.map(({ config }) => config.name));
  const found: Finding[] = [];
  for (let offset = 0, total = 1; offset < total; ) {
    const answer = await callApi<StreamPage>(link.requests, "STREAM.LIST", { offset });
    const page = answer.streams ?? [];
    if (errorOf(answer) || page.length === 0) break; // not allowed to see them: then nothing is said
    total = answer.total ?? 0;
    offset += page.length;
    for (const { config } of page) {
      const stream = config.mirror?.name;
      if (stream === undefined || !own.has(stream) || !config.mirror_direct) continue;
      found.push({
        check: "mirror",
        verdict: "problem",
        message: `Stream ${config.name} is a mirror of ${stream} in the same account, so the server lets it answer reads of ${stream}, with what was purged there. Remove it; docs/durability.md says how to mirror into another account.`,
        details: { mirror: config.name, stream },
      });
    }
  }
  return found;
}
