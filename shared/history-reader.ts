/**
 * Reads the history of a run from where it begins: for a run that has continued, from the commit that
 * continued it last, so that its cost does not grow with what came before.
 */
import type { Reader, StoredMessage } from "./jetstream/reader.ts";
import { BEGINNING_HEADER } from "./subjects.ts";

type HistoryReads = Pick<Reader, "readPage" | "readSubject">;

/** Most histories are smaller. Of one that has ended by a continuation, no more is read in vain. */
const FIRST_READ_BYTES = 128 * 1024;

/** Where the history begins to which a commit belongs. From an old commit it is an old beginning. */
export function beginningOf(last: Pick<StoredMessage, "headers" | "sequence"> | undefined): number {
  const written = last?.headers.last(BEGINNING_HEADER);
  const sequence = Number(written ?? 1);
  if (!last || !Number.isSafeInteger(sequence) || sequence < 0 || sequence > last.sequence)
    return 1;
  return sequence === 0 ? last.sequence : sequence;
}

/** Reads a history whose last commit is asked for at the same time. */
export async function readHistoryBeside(
  reader: HistoryReads,
  { stream, history }: { readonly stream: string; readonly history: string },
  asked: Promise<Pick<StoredMessage, "headers" | "sequence"> | undefined>,
): Promise<readonly StoredMessage[]> {
  const [last, first] = await Promise.all([
    asked,
    reader.readPage(stream, history, 1, { mostBytes: FIRST_READ_BYTES }),
  ]);
  const beginning = beginningOf(last);
  const read = first.messages.at(-1)?.sequence ?? 0;
  if (first.pending === 0) return first.messages;
  if (beginning > 1) return reader.readSubject(stream, history, beginning);
  return [...first.messages, ...(await reader.readSubject(stream, history, read + 1))];
}
