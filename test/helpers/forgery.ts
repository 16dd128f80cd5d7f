/** Messages that Contrail never writes, on the subjects that it reads. */
import { encode } from "../../shared/codec.ts";
import { callApi } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import {
  type Because,
  encodeCancel,
  encodeReady,
  encodeStart,
  encodeWait,
  type WatchedLeaf,
} from "../../shared/messages.ts";
import type { LogKind, Names } from "../../shared/subjects.ts";

/** The kinds of messages of a log. */
export const LOG_KINDS: readonly LogKind[] = [
  ...(["token.start", "token.ready", "h", "c", "wait", "timer", "cancel"] as const),
];

const utf8 = new TextEncoder();

/** Bodies that are no message of any kind, each in another way. */
export const GARBAGE: { readonly [name: string]: Uint8Array } = {
  empty: new Uint8Array(),
  text: utf8.encode("hello"),
  JSON: utf8.encode('{"__proto__":{"a":1}}'),
  "another version": Uint8Array.of(2, 0x80),
  "format byte alone": Uint8Array.of(1),
  "cut off": Uint8Array.of(1, 0x9f, 0x01),
  "not plain data": Uint8Array.of(1, 0xd8, 28, 0x81, 0xd8, 29, 0x00),
  "deeply nested": Uint8Array.of(1, ...Array.from({ length: 50_000 }, () => 0x81), 0x01),
  "of no form": encode({ kind: "waiting" }, "garbage"),
  "a list of nothing": encode([], "garbage"),
  "a list of anything": encode([null, -1, "x", {}, Number.NaN, []], "garbage"),
};

/** Publishes a message as anybody may who is allowed to publish there. Resolves when it is stored. */
export async function forge(
  link: NatsLink,
  subject: string,
  body: Uint8Array,
  headers: HeaderList = [],
): Promise<number> {
  const outcome = await link.publisher.publish(subject, body, headers);
  if (!outcome.ok) throw new Error(`${subject} took no message: ${JSON.stringify(outcome)}`);
  return outcome.sequence;
}

/** A token that is well formed, for whatever wait of whatever start. */
export function forgedReady(answers: number, startSequence: number, because: Because): Uint8Array {
  return encodeReady({ answers, startSequence, isChild: false, because });
}

/** A start that is well formed. */
export function forgedStart(input: unknown): Uint8Array {
  return encodeStart({ input, events: { after: 0, created: "" }, nonce: "forged", by: "nobody" });
}

/** A request to cancel that is well formed. */
export function forgedCancel(startSequence: number): Uint8Array {
  return encodeCancel({ isTermination: false, startSequence, by: "nobody", reason: "forged" });
}

/** A registration that is well formed but for what its leaves say. */
export function forgedWait(
  waitSequence: number,
  startSequence: number,
  condition: WatchedLeaf["condition"],
): Uint8Array {
  const leaves = [{ key: "w0 forged", leaf: 0, condition }];
  return encodeWait({
    waitSequence,
    startSequence,
    isChild: false,
    leaves,
    consumed: [],
    passMs: 0,
  });
}

/** What the consumers of all tasks still have to deliver or wait to hear of. */
export interface OpenTokens {
  readonly unacknowledged: number;
  readonly undelivered: number;
}

/** Adds up what all consumer groups of a namespace have left. */
export async function openTokens(link: NatsLink, names: Names): Promise<OpenTokens> {
  let unacknowledged = 0;
  let undelivered = 0;
  for (let shard = 0; shard < names.shardCount; shard++) {
    const answer = await callApi(link.requests, `CONSUMER.LIST.${names.logStream(shard)}`, {});
    const consumers = (answer as { consumers?: ConsumerState[] }).consumers ?? [];
    for (const { name, num_ack_pending, num_pending } of consumers) {
      if (!name.startsWith("task-") && !name.startsWith("hash-")) continue;
      unacknowledged += num_ack_pending;
      undelivered += num_pending;
    }
  }
  return { unacknowledged, undelivered };
}

interface ConsumerState {
  readonly name: string;
  readonly num_ack_pending: number;
  readonly num_pending: number;
}
