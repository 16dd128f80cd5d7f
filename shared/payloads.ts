/**
 * Values that are too large for the log, in the namespace's object store. The format is that of NATS
 * object stores, so `nats object ls` and `nats object get` show them; a payload is read by direct
 * reads, which need no consumer.
 *
 * L1. A payload is stored whole before anything refers to it, and never changed.
 * L2. Nobody believes a replica that a payload is missing: its leader is asked.
 */
import { createHash } from "node:crypto";
import type { Clock } from "./clock.ts";
import { decode, encode } from "./codec.ts";
import { PayloadMissingError, UnavailableError } from "./errors.ts";
import type { Failpoint } from "./failpoints.ts";
import { newId } from "./ids.ts";
import { pause } from "./jetstream/backoff.ts";
import { type Publisher, whyNotStored } from "./jetstream/publisher.ts";
import type { Reader, StoredMessage } from "./jetstream/reader.ts";
import { PAYLOAD_CHUNK_BYTES, PAYLOAD_INLINE_BYTES } from "./limits.ts";
import { PayloadReference, payloadName, payloadPath } from "./payload-reference.ts";
import type { Names, RunAddress } from "./subjects.ts";

/** What a store of payloads needs of a connection. */
export interface PayloadsLink {
  readonly publisher: Pick<Publisher, "guardedPublish">;
  readonly reader: Pick<Reader, "readSubject" | "lastFor">;
  /** The largest message that the server accepts. */
  readonly maxPayload: number;
}

/** Whose payload it is. */
export interface PayloadOwner {
  readonly run: RunAddress;
  /** Who may refer to it too: its log keeps it alive. */
  readonly parent?: RunAddress | undefined;
}

/** How often a replica that is behind is read again, and with which pause between. */
const READINGS = 50;
const READ_AGAIN_MS = 100;
/** Room for the headers of a chunk. */
const FRAME_BYTES = 2_048;
/** Values deeper inside a result belong to the user, and are never references. */
const DEPTH = 8;

/** The payloads of one namespace. */
export class Payloads {
  readonly #link: PayloadsLink;
  readonly #names: Names;
  readonly #clock: Clock;
  readonly #failpoint: Failpoint;

  constructor(
    link: PayloadsLink,
    { names, clock, failpoint }: { names: Names; clock: Clock; failpoint?: Failpoint },
  ) {
    this.#link = link;
    this.#names = names;
    this.#clock = clock;
    this.#failpoint = failpoint ?? (() => undefined);
  }

  /** Encoded values with more bytes are kept here. */
  get inlineBytes(): number {
    return Math.min(PAYLOAD_INLINE_BYTES, Math.floor(this.#link.maxPayload / 4));
  }

  /**
   * The value itself, or what stands for it when it is large.
   * @param what Names it in errors.
   * @throws {InvalidInputError} When it cannot be stored.
   * @throws {LimitExceededError} When it is larger than any value may be.
   * @throws {UnavailableError} When it may not have been stored. To do it again leaves one more behind.
   */
  async stow(value: unknown, owner: PayloadOwner, what: string): Promise<unknown> {
    if (isSurelySmall(value)) return value;
    const bytes = encode(value, what);
    return bytes.length <= this.inlineBytes ? value : this.#put(bytes, owner);
  }

  /**
   * The value, with everything in it that is kept here.
   * @throws {PayloadMissingError} When something of it is not there any more.
   * @throws {UnavailableError} When it cannot be read for now.
   */
  async fetch(value: unknown): Promise<unknown> {
    return holdsReference(value, 0) ? this.#fetched(value, 0) : value;
  }

  async #fetched(value: unknown, depth: number): Promise<unknown> {
    if (value instanceof PayloadReference)
      return decode(await this.#get(value), `payload ${payloadName(value.path)}`);
    if (typeof value !== "object" || value === null || depth === DEPTH) return value;
    if (Array.isArray(value)) {
      const parts: unknown[] = [];
      for (const part of value) parts.push(await this.#fetched(part, depth + 1));
      return parts;
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    const fields: [string, unknown][] = [];
    for (const [name, part] of Object.entries(value))
      fields.push([name, await this.#fetched(part, depth + 1)]);
    return Object.fromEntries(fields);
  }

  /** A copy that belongs to another run. */
  async copy(reference: PayloadReference, owner: PayloadOwner): Promise<PayloadReference> {
    return this.#put(await this.#get(reference), owner);
  }

  async #put(bytes: Uint8Array, { run, parent }: PayloadOwner): Promise<PayloadReference> {
    const path = payloadPath(run, newId(), parent);
    const digest = digestOf(bytes);
    const chunkBytes = Math.min(PAYLOAD_CHUNK_BYTES, this.#link.maxPayload - FRAME_BYTES);
    const chunks = Math.ceil(bytes.length / chunkBytes);
    const name = payloadName(path);
    const bucket = this.#names.payloadsBucket;
    const information = {
      ...{ name, bucket, nuid: path, size: bytes.length, chunks },
      digest: `SHA-256=${digest}=`,
      options: { max_chunk_size: chunkBytes },
    };
    // First, so that whoever sweeps finds what was never finished.
    await this.#write(this.#names.payloadInformation(name), encodeJson(information), 0);
    const subject = this.#names.payloadChunks(path);
    let last = 0;
    for (let at = 0; at < bytes.length; at += chunkBytes)
      last = await this.#write(subject, bytes.subarray(at, at + chunkBytes), last);
    const point = this.#failpoint("after-payload");
    if (point) await point;
    return new PayloadReference(path, bytes.length, digest);
  }

  /** Nobody else writes on this subject, so a guard that refuses has let an earlier try through. */
  async #write(subject: string, bytes: Uint8Array, expect: number): Promise<number> {
    const { publisher, reader } = this.#link;
    const outcome = await publisher.guardedPublish(subject, bytes, { expect });
    if (outcome.ok) return outcome.sequence;
    if (outcome.kind === "guard" && outcome.uncertain) {
      const last = await reader.lastFor(this.#names.payloadsStream, subject, { leader: true });
      if (last && last.sequence > expect) return last.sequence;
    }
    throw new UnavailableError(
      `A large value could not be stored in ${this.#names.payloadsStream}: ${whyNotStored(outcome)}. If there is no such stream, run "contrail setup".`,
      { subject },
    );
  }

  async #get(reference: PayloadReference): Promise<Uint8Array> {
    const { path, size, digest } = reference;
    const { reader } = this.#link;
    const stream = this.#names.payloadsStream;
    const subject = this.#names.payloadChunks(path);
    for (let reading = 1; reading <= READINGS; reading++) {
      const chunks = await reader.readSubject(stream, subject);
      const bytes = joined(chunks);
      if (bytes.length === size && digestOf(bytes) === digest) return bytes;
      const last = await reader.lastFor(stream, subject, { leader: true });
      if (!last || last.sequence <= (chunks.at(-1)?.sequence ?? 0)) throw missing(reference, bytes);
      await pause(this.#clock, READ_AGAIN_MS);
    }
    throw new UnavailableError(`Payload ${payloadName(path)} cannot be read for now.`, { path });
  }
}

/** What needs no look at its size. */
function isSurelySmall(value: unknown): boolean {
  if (typeof value === "string") return false;
  return typeof value !== "object" || value === null || value instanceof PayloadReference;
}

function joined(chunks: readonly StoredMessage[]): Uint8Array {
  const [only] = chunks;
  return only && chunks.length === 1 ? only.data : Buffer.concat(chunks.map(({ data }) => data));
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function missing({ path, size }: PayloadReference, found: Uint8Array): PayloadMissingError {
  const name = payloadName(path);
  const what = found.length === 0 ? "is not there" : `has ${found.length} of ${size} bytes`;
  return new PayloadMissingError(
    `Payload ${name}, a value of ${size} bytes that the log refers to, ${what}: somebody removed it from the object store. Put it back, or retry or fork the run from before it.`,
    { payload: name },
  );
}

/** Whether there is something to fetch. Nearly always there is not, and this costs no promise. */
function holdsReference(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof PayloadReference) return true;
  if (depth === DEPTH) return false;
  if (Array.isArray(value)) return value.some((part) => holdsReference(part, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name in fields) if (holdsReference(fields[name], depth + 1)) return true;
  return false;
}
