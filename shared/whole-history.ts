/** Histories with the values that are kept in the object store, for files and for copies. */
import { decodeCommit, encodeCommit, type StoredCommit } from "./entries.ts";
import type { History } from "./history-file.ts";
import { type ReplaceValue, withValues } from "./large-values.ts";
import { PayloadReference } from "./payload-reference.ts";
import type { Payloads } from "./payloads.ts";
import type { RunAddress } from "./subjects.ts";

/**
 * A history that needs no object store.
 * @throws {PayloadMissingError} When a value is not there any more.
 */
export async function wholeHistory<H extends History>(payloads: Payloads, history: H): Promise<H> {
  const fetched: ReplaceValue = async (value) =>
    value instanceof PayloadReference ? payloads.fetch(value) : value;
  const commits: StoredCommit[] = [];
  for (const commit of history.commits)
    commits.push({ ...commit, entries: await withValues(commit.entries, fetched) });
  return { ...history, input: await fetched(history.input, "own"), commits };
}

/** Gives another run a copy of every payload that these commits refer to. */
export async function copiedPayloads(
  payloads: Payloads,
  commits: readonly Uint8Array[],
  run: RunAddress,
): Promise<Uint8Array[]> {
  const copies: Uint8Array[] = [];
  for (const bytes of commits) {
    let hasCopied = false;
    const { sequence: _, ...commit } = decodeCommit(bytes, 0, "the beginning of a fork");
    const entries = await withValues(commit.entries, async (value) => {
      if (!(value instanceof PayloadReference)) return value;
      hasCopied = true;
      return payloads.copy(value, { run });
    });
    copies.push(
      hasCopied ? encodeCommit({ ...commit, entries }, "the beginning of a fork") : bytes,
    );
  }
  return copies;
}
