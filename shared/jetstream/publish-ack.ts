/** Reads the server's answer to a write. */

/** The write is stored. */
export interface StoredOutcome {
  readonly ok: true;
  readonly stream: string;
  readonly sequence: number;
  /** The server knew the message id and stored nothing now; `sequence` is of the first one. */
  readonly duplicate: boolean;
}

/** The guard's subject no longer ends where it was expected to (error 10071). Nothing was stored. */
export interface GuardOutcome {
  readonly ok: false;
  readonly kind: "guard";
  /** Where it ends, as far as the answering server knew. */
  readonly lastSequence?: number;
}

/**
 * Another write to the guard's subject is just being replicated (error 10164, only on replicated
 * streams and in batches). Nothing was stored; the same write may succeed or be refused in a moment.
 */
export interface ConflictOutcome {
  readonly ok: false;
  readonly kind: "conflict";
}

/** The server refused the write for another reason. Nothing was stored. */
export interface RefusedOutcome {
  readonly ok: false;
  readonly kind: "refused";
  /** The server's JetStream error code, such as 10060; 0 when it gave none. */
  readonly code: number;
  readonly description: string;
  /** The same write may succeed later: no leader, too many requests. */
  readonly isTransient: boolean;
  /** Nothing was asked of a stream: the user of the connection may not publish to the subject. */
  readonly isForbidden?: true;
}

/** What the server answers to a write. */
export type Acknowledgement = StoredOutcome | GuardOutcome | ConflictOutcome | RefusedOutcome;

const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_CONFLICT = 10164;
/** "stream store failed": a limit or a disk, which retrying does not mend. */
const STORE_FAILED = 10077;
const HEAD = Buffer.from('{"stream":"');
const SEQUENCE = Buffer.from('"seq":');
/** Enough for a sequence. Whoever answers in the server's place may write a megabyte of digits. */
const LAST_CHARACTERS = 32;
const DIGIT_0 = 0x30;
const QUOTE = 0x22;
const CLOSING_BRACE = 0x7d;

/**
 * Reads an answer. Nothing when it is none of a stream: any subscriber of the subject may have sent
 * it, and the stream's own is still to come.
 */
export function parseAcknowledgement(data: Uint8Array): Acknowledgement | undefined {
  return parsePlain(data) ?? parseAny(data);
}

/**
 * The usual answer is `{"stream":"NAME", "seq":N}`; reading it here takes half of the time of
 * JSON. Anything that ends otherwise (a duplicate, a domain, an error) is left to JSON.
 */
function parsePlain(data: Uint8Array): StoredOutcome | undefined {
  let at = data.length - 1;
  if (data[at] !== CLOSING_BRACE) return undefined;
  let sequence = 0;
  let scale = 1;
  for (at--; at > 0; at--) {
    const digit = (data[at] as number) - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    sequence += digit * scale;
    scale *= 10;
  }
  if (scale === 1 || !endsAt(data, at + 1, SEQUENCE) || !endsAt(data, HEAD.length, HEAD))
    return undefined;
  const end = data.indexOf(QUOTE, HEAD.length);
  // A domain between stream and sequence, or an escaped quote in the name.
  if (at - end > 10) return undefined;
  const stream = latin1(data, HEAD.length, end);
  return { ok: true, stream, sequence, duplicate: false };
}

/** Whether these bytes stand directly before `end`. */
function endsAt(data: Uint8Array, end: number, expected: Uint8Array): boolean {
  const start = end - expected.length;
  for (let i = 0; i < expected.length; i++) if (data[start + i] !== expected[i]) return false;
  return true;
}

function latin1(data: Uint8Array, start: number, end: number): string {
  return Buffer.from(data.buffer, data.byteOffset + start, end - start).toString("latin1");
}

interface AnswerShape {
  readonly stream?: unknown;
  readonly seq?: unknown;
  readonly duplicate?: unknown;
  readonly error?: {
    readonly code?: unknown;
    readonly err_code?: unknown;
    readonly description?: unknown;
  };
}

function parseAny(data: Uint8Array): Acknowledgement | undefined {
  let answer: AnswerShape | null;
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8");
  try {
    answer = JSON.parse(text) as AnswerShape | null;
  } catch {
    answer = null;
  }
  if (typeof answer?.stream === "string" && typeof answer.seq === "number" && !answer.error)
    return {
      ok: true,
      stream: answer.stream,
      sequence: answer.seq,
      duplicate: answer.duplicate === true,
    };
  const error = answer?.error;
  if (typeof error !== "object" || error === null) return undefined;
  return refusal(
    typeof error.err_code === "number" ? error.err_code : 0,
    typeof error.code === "number" ? error.code : 0,
    typeof error.description === "string" ? error.description : "",
  );
}

function refusal(code: number, status: number, description: string): Acknowledgement {
  if (code === WRONG_LAST_SEQUENCE_CONFLICT) return { ok: false, kind: "conflict" };
  if (code === WRONG_LAST_SEQUENCE) {
    const last = /(\d+)\s*$/.exec(description.slice(-LAST_CHARACTERS))?.[1];
    if (last === undefined) return { ok: false, kind: "guard" };
    return { ok: false, kind: "guard", lastSequence: Number(last) };
  }
  const isTransient = (status === 503 && code !== STORE_FAILED) || status === 429;
  return { ok: false, kind: "refused", code, description, isTransient };
}
