/** Reads the configuration of a stream, in the server's words. */
import type { ConfigShape } from "./consumer-settings.ts";

/** What a stream does. Times are milliseconds; 0 or less means no limit. */
export interface StreamSettings {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxPerSubject: number;
  readonly allowsSchedules: boolean;
  readonly allowsTimeToLive: boolean;
  readonly allowsRollup: boolean;
  readonly allowsDirect: boolean;
  readonly deniesDelete: boolean;
  readonly deniesPurge: boolean;
  /** A marker stays for so long when the last message of a subject is too old. */
  readonly markerMs: number;
  readonly republish:
    | { readonly source: string; readonly destination: string; readonly isHeadersOnly: boolean }
    | undefined;
  /** As the server tells it. */
  readonly config: ConfigShape;
}

const NANOSECONDS = 1e6;
const DUPLICATE_WINDOW = 120_000 * NANOSECONDS;
/** What a server says about itself in the metadata of what it creates. */
const SERVER_METADATA = { "_nats.level": "5", "_nats.req.level": "2", "_nats.ver": "2.15.1" };

/** Reads a configuration. Nothing when it asks for what this server does not have. */
export function readStream(name: string, given: ConfigShape): StreamSettings | undefined {
  const isLimited = (given.retention ?? "limits") === "limits";
  if (!isLimited || given.mirror || given.sources || given.subject_transform) return undefined;
  const subjects = (given.subjects as string[] | undefined) ?? [name];
  const allowsSchedules = given.allow_msg_schedules === true;
  const number = (field: string): number => (typeof given[field] === "number" ? given[field] : 0);
  const markerMs = number("subject_delete_marker_ttl") / NANOSECONDS;
  const allowsRollup = given.allow_rollup_hdrs === true || allowsSchedules || markerMs > 0;
  const republish = given.republish as
    | { src: string; dest: string; headers_only?: boolean }
    | undefined;
  return {
    name,
    subjects,
    replicas: number("num_replicas") || 1,
    maxAgeMs: number("max_age") / NANOSECONDS,
    maxPerSubject: number("max_msgs_per_subject"),
    allowsSchedules,
    allowsTimeToLive: given.allow_msg_ttl === true,
    allowsRollup,
    allowsDirect: given.allow_direct === true,
    deniesDelete: given.deny_delete === true,
    deniesPurge: given.deny_purge === true && !allowsRollup,
    markerMs,
    republish: republish && {
      source: republish.src,
      destination: republish.dest,
      isHeadersOnly: republish.headers_only === true,
    },
    config: {
      ...given,
      name,
      subjects,
      retention: "limits",
      max_consumers: number("max_consumers") || -1,
      max_msgs: number("max_msgs") || -1,
      max_bytes: number("max_bytes") || -1,
      max_age: number("max_age"),
      max_msgs_per_subject: number("max_msgs_per_subject") || -1,
      max_msg_size: number("max_msg_size") || -1,
      discard: given.discard ?? "old",
      storage: given.storage ?? "file",
      num_replicas: number("num_replicas") || 1,
      duplicate_window: number("duplicate_window") || DUPLICATE_WINDOW,
      compression: given.compression ?? "none",
      ...(allowsRollup ? { allow_rollup_hdrs: true } : {}),
      metadata: { ...(given.metadata as object | undefined), ...SERVER_METADATA },
    },
  };
}

/** Where a stored message is republished to; nothing when it is not. */
export function republishedTo({ republish }: StreamSettings, subject: string): string | undefined {
  if (!republish) return undefined;
  const source = republish.source.split(".");
  const tokens = subject.split(".");
  const isOpen = source.at(-1) === ">";
  const fixed = isOpen ? source.slice(0, -1) : source;
  if (isOpen ? tokens.length <= fixed.length : tokens.length !== fixed.length) return undefined;
  if (!fixed.every((token, i) => token === tokens[i])) return undefined;
  const rest = tokens.slice(fixed.length).join(".");
  return republish.destination.replace(/>$/, rest);
}
