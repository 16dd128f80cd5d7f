/** A request to a pull consumer: what may be asked for, and how it may end. */
import type { DeliveredMessage } from "./delivery.ts";

/** Why a request ended. */
export type PullEndReason =
  /** As many messages came as were asked for. */
  | "complete"
  /** Nothing (more) was there, and the request was not to wait. */
  | "empty"
  | "expired"
  /** `maxBytes` was reached. */
  | "full"
  | "leadership-change"
  | "consumer-deleted"
  | "server-shutdown"
  /** There is no such consumer, or it has no leader now. */
  | "no-responders"
  /** The server does not accept the request; `description` says why. */
  | "refused"
  /** The user of the connection may not pull from this consumer; `description` says more. */
  | "forbidden"
  /** The server fell silent. */
  | "lost"
  /** The connection was lost and stands again. */
  | "reconnected"
  /** The puller or its connection was closed. */
  | "closed";

/** The end of a request. */
export interface PullEnd {
  /** How many of the requested messages did not come. */
  readonly missing: number;
  readonly reason: PullEndReason;
  /** What the server said, if it said anything. */
  readonly description: string;
}

/** What a consumer says about itself while it has nothing to deliver. */
export interface Heartbeat {
  /** Deliveries so far. More than were received means that some were lost. */
  readonly consumerSequence: number;
  /** It has looked at every message up to here, and delivered those that match. */
  readonly streamSequence: number;
}

/** One request for messages. */
export interface PullRequest {
  /** At most so many messages. */
  readonly batch: number;
  /** How long the server keeps the request open. At least 100. */
  readonly expiresMs: number;
  /** End at once when there is nothing. Default false. */
  readonly noWait?: boolean;
  /** At most so many bytes, more or less; a single larger message ends the request. */
  readonly maxBytes?: number;
  /**
   * How often the server shows that a request lives that has nothing to deliver; it counts as lost
   * without two of them. At most a third of `expiresMs`. Default 2,000, and none below 3 s.
   */
  readonly heartbeatMs?: number;
  /** Must not throw. */
  onMessage(message: DeliveredMessage): void;
  onHeartbeat?(heartbeat: Heartbeat): void;
  /** Called once, after the last message. Must not throw. */
  onEnd(end: PullEnd): void;
}

const HEARTBEAT_MS = 2_000;
/** Requests shorter than this have no heartbeat: their end comes soon enough. */
const SHORTEST_WITH_HEARTBEAT_MS = 3_000;

/** Ends after which the server sends nothing more for the request. */
export function isConfirmed(reason: PullEndReason): boolean {
  return reason === "complete" || reason === "empty" || reason === "expired" || reason === "full";
}

/** How often the server is to show that the request lives, in milliseconds; 0 for not at all. */
export function heartbeatFor({ expiresMs, noWait, heartbeatMs }: PullRequest): number {
  if (noWait || expiresMs < SHORTEST_WITH_HEARTBEAT_MS) return 0;
  return Math.min(heartbeatMs ?? HEARTBEAT_MS, Math.floor(expiresMs / 3));
}

/** The request as the server reads it: times in nanoseconds. */
export function requestBody(request: PullRequest): string {
  const { batch, expiresMs, noWait, maxBytes } = request;
  const heartbeatMs = heartbeatFor(request);
  return JSON.stringify({
    batch,
    ...(noWait ? { no_wait: true } : { expires: Math.round(expiresMs * 1e6) }),
    ...(heartbeatMs === 0 ? {} : { idle_heartbeat: Math.round(heartbeatMs * 1e6) }),
    ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
  });
}

/** What a status that is no heartbeat means. */
export function endReason(status: number, description: string): PullEndReason {
  if (status === 404) return "empty";
  if (status === 408) return "expired";
  if (status === 503) return "no-responders";
  if (status !== 409) return "refused";
  const text = description.toLowerCase();
  if (text.includes("leadership change")) return "leadership-change";
  if (text.includes("consumer deleted")) return "consumer-deleted";
  if (text.includes("server shutdown")) return "server-shutdown";
  if (text.includes("message size exceeds maxbytes") || text.includes("batch completed"))
    return "full";
  return "refused";
}
