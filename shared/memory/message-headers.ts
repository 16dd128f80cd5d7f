/** What the server adds to a message that it sends on: where and when it was stored. */
import type { StoredRecord } from "./message-store.ts";

/** Headers that tell where a message is stored. */
export function messageHeaders(
  stream: string,
  { subject, sequence, timeMs }: Pick<StoredRecord, "subject" | "sequence" | "timeMs">,
): Record<string, string | number> {
  return {
    "Nats-Stream": stream,
    "Nats-Subject": subject,
    "Nats-Sequence": sequence,
    "Nats-Time-Stamp": formatTime(timeMs),
  };
}

/** An instant as RFC 3339 text, to the microsecond. */
export function formatTime(timeMs: number): string {
  const seconds = Math.floor(timeMs / 1e3);
  const microseconds = Math.round((timeMs - seconds * 1e3) * 1e3);
  const whole = new Date(seconds * 1e3).toISOString().slice(0, -".000Z".length);
  const fraction = String(microseconds).padStart(6, "0").replace(/0+$/, "");
  return fraction === "" ? `${whole}Z` : `${whole}.${fraction}Z`;
}
