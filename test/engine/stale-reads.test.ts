import test from "ava";
import { PendingWait } from "../../engine/conditions.ts";
import { lastReadable } from "../../engine/last-readable.ts";
import { LastReads, type LastReadsOptions } from "../../engine/last-reads.ts";
import { LookBack } from "../../engine/look-back.ts";
import { systemClock } from "../../shared/clock.ts";
import { UnavailableError, UndecodableError } from "../../shared/errors.ts";
import { decodeHeaders } from "../../shared/jetstream/headers.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { silentLog } from "../../shared/logger.ts";
import { Names } from "../../shared/subjects.ts";

const never = new AbortController().signal;
const headers = decodeHeaders(new Uint8Array(0));

function message(sequence: number, subject: string, payload: unknown = null): StoredMessage {
  return { subject, sequence, timeMs: 0, headers, data: Buffer.from(JSON.stringify(payload)) };
}

/** Replicas of one stream that are behind by different amounts, asked in turn; the last one leads. */
class Replicas {
  readonly asked: string[][] = [];
  leaderReads = 0;
  readonly #log: readonly StoredMessage[];
  readonly #known: number[];
  #next = 0;

  constructor(log: readonly StoredMessage[], known: number[]) {
    this.#log = log;
    this.#known = known;
  }

  #view(): { log: StoredMessage[]; upTo: number } {
    const upTo = this.#known[Math.min(this.#next++, this.#known.length - 1)] as number;
    return { log: this.#log.filter(({ sequence }) => sequence <= upTo), upTo };
  }

  readonly reader: LastReadsOptions["reader"] &
    ConstructorParameters<typeof LookBack>[0]["reader"] = {
    multiLast: async (_stream, subjects) => {
      this.asked.push([...subjects]);
      const { log, upTo } = this.#view();
      const last = new Map(log.map((each) => [each.subject, each]));
      const messages = [...last.values()].filter(({ subject }) => subjects.includes(subject));
      // The server says how new it is only when it finds something.
      return { messages, upToSequence: messages.length === 0 ? 0 : upTo };
    },
    lastFor: async (_stream, subject) => {
      this.leaderReads++;
      return this.#log.findLast((each) => each.subject === subject);
    },
    get: async (_stream, sequence) => this.#log.find((each) => each.sequence === sequence),
    streamState: async () => ({
      created: "",
      firstSequence: this.#log[0]?.sequence ?? 0,
      lastSequence: this.#log.at(-1)?.sequence ?? 0,
      messageCount: this.#log.length,
      config: {},
      leader: undefined,
      answeredAtMs: 0,
    }),
    readPage: async (_stream, subject, from) => {
      const { log } = this.#view();
      const found = log.filter((each) => each.subject === subject && each.sequence >= from);
      return { messages: found.slice(0, 2), pending: Math.max(found.length - 2, 0) };
    },
  };
}

function readsOf(replicas: Replicas): LastReads {
  return new LastReads({ reader: replicas.reader, clock: systemClock, signal: never });
}

test("an answer that is too old is not believed (hole 7)", async (t) => {
  const log = [message(3, "other"), message(8, "child.c"), message(9, "other")];
  const replicas = new Replicas(log, [5, 7, 9]);
  const reads = readsOf(replicas);
  reads.witness("s", "other");
  t.is((await reads.last("s", "child.c", 8))?.sequence, 8);
  t.is(replicas.asked.length, 3);
  // Without asking for a sequence, the first replica's "no such end" would have been believed.
  t.is(await readsOf(new Replicas(log, [5, 7, 9])).last("s", "child.c", 0), undefined);
});

test("when all replicas are behind the leader is asked", async (t) => {
  const log = [message(3, "other"), message(8, "child.c")];
  const replicas = new Replicas(log, [5]);
  t.is((await readsOf(replicas).last("s", "child.c", 8))?.sequence, 8);
  t.is(replicas.leaderReads, 1);
});

test("a subject that is stored shows how new an answer without any finding is", async (t) => {
  const replicas = new Replicas([message(3, "gone"), message(9, "other")], [9]);
  const reads = readsOf(replicas);
  t.is(await reads.last("s", "child.c", 9), undefined);
  t.is(replicas.leaderReads, 0);
  reads.witness("s", "purged"); // the next answer finds nothing, and another witness is found
  t.is(await reads.last("s", "child.c", 9), undefined);
  t.is(replicas.leaderReads, 0);
});

test("what is asked at once goes into one request, each subject once", async (t) => {
  const log = Array.from({ length: 10 }, (_, i) => message(i + 1, `c${i}`));
  const replicas = new Replicas(log, [10]);
  const reads = readsOf(replicas);
  const found = await Promise.all(
    [...log, ...log].map(({ subject }) => reads.last("s", subject, 10)),
  );
  t.deepEqual(
    found.map((each) => each?.sequence),
    [...log, ...log].map(({ sequence }) => sequence),
  );
  t.is(replicas.asked.length, 1);
  t.is(replicas.asked[0]?.length, 10);
});

test("a closed engine's reads end with an error", async (t) => {
  const over = new AbortController();
  over.abort();
  const { reader } = new Replicas([], [0]);
  const reads = new LastReads({ reader, clock: systemClock, signal: over.signal });
  await t.throwsAsync(reads.last("s", "a", 1), { instanceOf: UnavailableError });
});

test("what hides a message is looked behind by replicas that know it, unless it was purged", async (t) => {
  const [older, hidden, garbage] = [3, 5, 8].map((sequence) =>
    message(sequence, "r.wait", sequence),
  );
  const find = (log: readonly StoredMessage[], known: number[]): Promise<number | undefined> => {
    const { reader } = new Replicas(log, known);
    const readSubject = async (stream: string, subject: string): Promise<StoredMessage[]> => [
      ...(await reader.readPage(stream, subject, 1)).messages,
    ];
    const link = { reader: { ...reader, readSubject } };
    return lastReadable(
      { link, clock: systemClock, log: silentLog, signal: never },
      {
        stream: "s",
        unreadable: { subject: "r.wait", sequence: 8 },
        read: ({ sequence }) => {
          if (sequence === 8) throw new UndecodableError("garbage");
          return sequence;
        },
      },
    );
  };
  const log = [hidden, garbage] as StoredMessage[];
  t.is(await find(log, [4, 5, 8]), 5);
  t.is(await find([garbage] as StoredMessage[], [8]), undefined);
  t.is(await find([older] as StoredMessage[], [8]), undefined, "purged");
});

test("a look back reads on until it has reached the last event that matters", async (t) => {
  const subject = "events.order.paid";
  const log = [2, 4, 5, 6, 8, 9].map((sequence) => message(sequence, subject, { id: sequence }));
  // Last messages as of 9; pages of replicas that know 4, 4, 5, 9 ...
  const replicas = new Replicas(log, [9, 4, 4, 5, 4, 9]);
  const reads = readsOf(replicas);
  reads.witness("EVENTS", subject);
  const { reader } = replicas;
  const back = new LookBack({ reader, reads, stream: "EVENTS", clock: systemClock, signal: never });
  const where = { id: { $gt: 5 } };
  const wait = new PendingWait(
    new Names("ns", 1),
    { taskName: "t", runId: "r" },
    {
      sequence: 1,
      registration: {
        waitSequence: 1,
        startSequence: 1,
        isChild: false,
        leaves: [1, 2, 3].map((leaf) => ({
          key: "w",
          leaf,
          condition: { kind: "event", name: "order.paid", where, after: 2 },
        })),
        consumed: [6],
        passMs: 1,
      },
    },
  );
  const group = wait.events[0];
  if (!group) return t.fail();
  t.deepEqual(await back.find(group, 8), [8]);
});
