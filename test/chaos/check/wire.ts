/**
 * Reads what is on the wire, by the format's description and by nothing of the product: bodies are
 * CBOR behind a format byte, entries are lists whose first element is the number of their kind.
 */
import { inflateRawSync } from "node:zlib";
import { Decoder } from "cbor-x";

/** A stored message as a dump has it. */
export interface Line {
  readonly sequence: number;
  readonly subject: string;
  readonly timeMs: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly data: string;
}

/** A condition as it is stored; the fields depend on its kind. */
export interface Condition {
  readonly kind: "sleep" | "event" | "child" | "children" | "anyOf" | "allOf";
  readonly of?: readonly (readonly [string | number, Condition])[];
  readonly dueAt?: number;
  readonly name?: string;
  readonly where?: { readonly [field: string]: unknown };
  readonly after?: number;
  readonly taskName?: string;
  readonly runId?: string;
  readonly first?: number;
  readonly count?: number;
}

/** How a run, or one of its waits, came out. */
export interface Outcome {
  readonly status?: string;
  readonly kind?: string;
  readonly output?: unknown;
  readonly error?: { readonly name: string; readonly code?: string };
  readonly sequence?: number;
  readonly data?: unknown;
  readonly outcome?: Outcome;
  readonly ended?: readonly (readonly [number, Outcome])[];
}

/** A recorded fact; which fields it has depends on its kind. */
export interface Entry {
  readonly kind: string;
  readonly key: string;
  readonly because: string;
  readonly leaf: number;
  readonly value: unknown;
  readonly condition: Condition;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly details: { readonly code?: string; readonly asked?: unknown };
  readonly retryAt: number;
  readonly runIds: readonly string[];
}

const KINDS: readonly (readonly string[])[] = [
  ["claimed", "worker", "because"],
  ["step-completed", "key", "at", "attempts", "durationMs", "value"],
  ["step-failed", "key", "at", "attempts", "durationMs", "error"],
  ["wait-opened", "key", "at", "condition"],
  ["wait-settled", "key", "leaf", "outcome"],
  ["child-started", "key", "at", "taskName", "runIds"],
  ["waiting"],
  ["paused", "reason", "details"],
  ["cancel-requested", "by", "reason"],
  ["ended", "outcome"],
  ["attempt-failed", "key", "at", "attempt", "error", "retryAt"],
  ["timed-out", "limitMs"],
  ["operation-interrupted", "key", "at"],
  ["cleanup-over"],
  ["heartbeat", "key"],
  ["change-noted", "name"],
  ["version-pinned", "version"],
  ["resumed", "by", "reason"],
  ["retried", "by", "reason", "again"],
  ["step-skipped", "by", "reason", "key", "value"],
  ["outlived"],
  ["continued", "input"],
];

const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

/** A message of a run, read. */
export interface Message extends Line {
  readonly kind: string;
  /** A list; nothing when it is not of this format. */
  readonly body: readonly unknown[] | undefined;
}

/** Reads a message of the log. */
export function messageOf(line: Line): Message {
  const kind = line.subject.split(".").slice(5).at(-1) ?? "";
  const bytes = Buffer.from(line.data, "base64");
  try {
    const plain = bytes[0] === 2 ? inflateRawSync(bytes.subarray(1)) : bytes.subarray(1);
    const body: unknown = bytes[0] === 1 || bytes[0] === 2 ? decoder.decode(plain) : undefined;
    return { ...line, kind, body: Array.isArray(body) ? body : undefined };
  } catch {
    return { ...line, kind, body: undefined };
  }
}

/** An event as it is stored. */
export interface StoredEvent extends Pick<Line, "sequence" | "timeMs"> {
  readonly name: string;
  /** JSON, or CBOR where its header says so; nothing when it is neither. */
  readonly payload: unknown;
}

/** Reads an event. */
export function eventOf(line: Line): StoredEvent {
  const { sequence, timeMs, subject, data } = line;
  const name = subject.slice(subject.indexOf(".") + 1);
  const bytes = Buffer.from(data, "base64");
  try {
    const isCbor = /cbor/i.test(headerOf(line, "Content-Type") ?? "");
    const payload: unknown = isCbor ? decoder.decode(bytes) : JSON.parse(bytes.toString());
    return { sequence, timeMs, name, payload };
  } catch {
    return { sequence, timeMs, name, payload: undefined };
  }
}

/** The last value of a header. */
export function headerOf({ headers }: Line, name: string): string | undefined {
  return headers.findLast(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

/** The entries of a commit. @throws {TypeError} When one is of no known kind. */
export function entriesOf(tuples: unknown): Entry[] {
  return (tuples as unknown[][]).map((tuple) => {
    const [kind, ...fields] = KINDS[tuple[0] as number] as string[];
    return Object.fromEntries([
      ["kind", kind],
      ...fields.map((field, i) => [field, tuple[i + 1]]),
    ]) as Entry;
  });
}

/** Which run a subject of the log is of. */
export function runOf(subject: string): Record<"name" | "taskName" | "runId", string> {
  const [, , , task = "", run = ""] = subject.split(".");
  const [taskName, runId] = [nameOf(task), nameOf(run)];
  return { name: `${taskName}/${runId}`, taskName, runId };
}

/** A name as it stands in a subject: `_5f` is the byte 0x5f, `__` is an underscore. */
function nameOf(token: string): string {
  const hex = token.replace(/__|_([0-9a-f]{2})|[^_]/g, (part, byte: string | undefined) =>
    byte ? byte : part === "__" ? "5f" : part.charCodeAt(0).toString(16).padStart(2, "0"),
  );
  return Buffer.from(hex, "hex").toString();
}

/** Whether an event of this name and payload is one that a condition asks for: by equality alone. */
export function isMatch(condition: Condition, name: string, payload: unknown): boolean {
  const wanted = (condition.name ?? "").split(".");
  const given = name.split(".");
  const isNamed = wanted.every(
    (part, i) => part === ">" || (i < given.length && (part === "*" || part === given[i])),
  );
  if (!isNamed || (wanted.at(-1) !== ">" && wanted.length !== given.length)) return false;
  const fields = (payload ?? {}) as { readonly [field: string]: unknown };
  return Object.entries(condition.where ?? {}).every(([key, value]) => fields[key] === value);
}
