import test from "ava";
import { beginningOf, readHistoryBeside } from "../../shared/history-reader.ts";
import { ReceivedHeaders } from "../../shared/jetstream/headers.ts";
import type { Reader, StoredMessage } from "../../shared/jetstream/reader.ts";

const at = { stream: "S", history: "a.h" };

/** The message with a number, and a header that says where its history begins. */
function message(sequence: number, beginning?: string): StoredMessage {
  const text = beginning === undefined ? "" : `Contrail-Beginning: ${beginning}\r\n`;
  const headers = new ReceivedHeaders(Buffer.from(`NATS/1.0\r\n${text}\r\n`));
  return { subject: at.history, sequence, timeMs: 0, headers, data: new Uint8Array(0) };
}

/** A reader of messages 1 to `count`, whose first page has three, and what is asked of it. */
function readerOf(count: number) {
  const asked: number[] = [];
  const all = Array.from({ length: count }, (_, i) => message(i + 1));
  const from = (first: number): StoredMessage[] => all.filter(({ sequence }) => sequence >= first);
  const reader: Pick<Reader, "readPage" | "readSubject"> = {
    readPage: async (_stream, _subject, first) => {
      asked.push(first);
      const messages = from(first).slice(0, 3);
      return { messages, pending: from(first).length - messages.length };
    },
    readSubject: async (_stream, _subject, first = 1) => {
      asked.push(first);
      return from(first);
    },
  };
  const read = async (last: StoredMessage | undefined): Promise<number[]> =>
    (await readHistoryBeside(reader, at, Promise.resolve(last))).map(({ sequence }) => sequence);
  return { read, asked };
}

test("a commit says where its history begins: at the first, at an earlier one, or at itself", (t) => {
  t.is(beginningOf(undefined), 1);
  t.is(beginningOf(message(9)), 1);
  t.is(beginningOf(message(9, "5")), 5);
  t.is(beginningOf(message(9, "0")), 9);
  for (const nonsense of ["10", "-1", "x", "1.5"]) t.is(beginningOf(message(9, nonsense)), 1);
});

test("a short history is one read, a long one two, and of one that has continued only the end is read", async (t) => {
  const short = readerOf(3);
  t.deepEqual(await short.read(message(3)), [1, 2, 3]);
  t.deepEqual(short.asked, [1]);
  const long = readerOf(6);
  t.deepEqual(await long.read(message(6)), [1, 2, 3, 4, 5, 6]);
  t.deepEqual(long.asked, [1, 4]);
  const continued = readerOf(9);
  t.deepEqual(await continued.read(message(9, "8")), [8, 9]);
  t.deepEqual(continued.asked, [1, 8]);
  t.deepEqual(await readerOf(0).read(undefined), []);
});
