/** Reads the configuration of a pull consumer, in the server's words. */
import { SubjectFilter } from "./subject-pattern.ts";

/** What a consumer does. Times are milliseconds; 0 or less means no limit. */
export interface ConsumerSettings {
  readonly name: string;
  readonly filter: SubjectFilter;
  readonly ackPolicy: "explicit" | "none";
  readonly ackWaitMs: number;
  readonly deliver: "all" | "new" | "by_start_sequence" | "last_per_subject";
  readonly startSequence: number;
  readonly maxAckPending: number;
  readonly maxWaiting: number;
  readonly maxBatch: number;
  readonly isHeadersOnly: boolean;
  /** 0 for as many as the stream has. */
  readonly replicas: number;
  /** It is removed when nobody asks for so long. */
  readonly inactiveMs: number;
  /** As the server tells it. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A configuration as JSON. */
export type ConfigShape = Readonly<Record<string, unknown>>;

const SUPPORTED = new Set(["all", "new", "by_start_sequence", "last_per_subject"]);
const ACK_WAIT_MS = 30_000;
const NANOSECONDS = 1e6;

/** Reads a configuration. Nothing when it asks for what this server does not have. */
export function readConsumer(name: string, given: ConfigShape): ConsumerSettings | undefined {
  const { filter_subject: one, filter_subjects: many } = given;
  const patterns = typeof one === "string" ? [one] : ((many ?? []) as string[]);
  const ackPolicy = given.ack_policy ?? "none";
  const deliver = given.deliver_policy ?? "all";
  const isSupported = SUPPORTED.has(String(deliver)) && given.deliver_subject === undefined;
  if (!isSupported || (ackPolicy !== "explicit" && ackPolicy !== "none")) return undefined;
  const isAcknowledged = ackPolicy === "explicit";
  const ackWait = numberOf(given.ack_wait) || (isAcknowledged ? ACK_WAIT_MS * NANOSECONDS : 0);
  const maxAckPending = numberOf(given.max_ack_pending) || (isAcknowledged ? 1_000 : 0);
  const maxWaiting = numberOf(given.max_waiting) || 512;
  return {
    name,
    filter: new SubjectFilter(patterns),
    ackPolicy,
    ackWaitMs: ackWait / NANOSECONDS,
    deliver: deliver as ConsumerSettings["deliver"],
    startSequence: numberOf(given.opt_start_seq),
    maxAckPending,
    maxWaiting,
    maxBatch: numberOf(given.max_batch),
    isHeadersOnly: given.headers_only === true,
    replicas: numberOf(given.num_replicas),
    inactiveMs: numberOf(given.inactive_threshold) / NANOSECONDS,
    config: {
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== false)),
      name,
      deliver_policy: deliver,
      ack_policy: ackPolicy,
      ...(ackWait === 0 ? {} : { ack_wait: ackWait }),
      max_deliver: numberOf(given.max_deliver) || -1,
      replay_policy: given.replay_policy ?? "instant",
      max_waiting: maxWaiting,
      ...(maxAckPending === 0 ? {} : { max_ack_pending: maxAckPending }),
      num_replicas: numberOf(given.num_replicas),
    },
  };
}

/** Whether two configurations ask for the same. */
export function isSameConfig(one: ConfigShape, other: ConfigShape): boolean {
  return canonical(one) === canonical(other);
}

function canonical(config: ConfigShape): string {
  const entries = Object.entries(config).filter(
    ([field, value]) =>
      field !== "metadata" && value !== undefined && value !== false && value !== 0 && value !== "",
  );
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
