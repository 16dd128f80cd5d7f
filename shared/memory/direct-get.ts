/** Direct reads: what a replica answers, message by message, with the end of the batch. */
import { statusHeaders, withHeaders } from "./header-text.ts";
import { messageHeaders } from "./message-headers.ts";
import type { MessageStore, StoredRecord } from "./message-store.ts";
import { SubjectFilter } from "./subject-pattern.ts";

/** One message of an answer. */
export interface DirectReply {
  readonly headers: string;
  readonly data: Uint8Array;
}

/** What is asked for, in the server's words. */
export interface DirectRequest {
  readonly seq?: number;
  readonly last_by_subj?: string;
  readonly next_by_subj?: string;
  readonly batch?: number;
  readonly max_bytes?: number;
  readonly multi_last?: readonly string[];
  readonly up_to_seq?: number;
}

const NOTHING = new Uint8Array(0);
const MOST_RESULTS = 1_024;
const MOST_BYTES = 64 * 1024 * 1024;

/** Answers a direct read. */
export function directGet(
  stream: string,
  store: MessageStore,
  request: DirectRequest | undefined,
): DirectReply[] {
  if (request === undefined || !asksForSomething(request)) return [status("408 Empty Request")];
  if (isContradictory(request)) return [status("408 Bad Request")];
  if (request.multi_last && request.multi_last.length > 0) return multiLast(stream, store, request);
  const { last_by_subj: subject, batch = 0 } = request;
  if (subject !== undefined) return single(stream, store.last(subject));
  if (batch > 0) return batched(stream, store, request);
  const { seq = 0, next_by_subj: next } = request;
  if (next === undefined) return single(stream, store.get(seq));
  return single(stream, store.next(new SubjectFilter([next]), seq));
}

function single(stream: string, record: StoredRecord | undefined): DirectReply[] {
  if (!record) return [status("404 Message Not Found")];
  const headers = withHeaders(record.headers, messageHeaders(stream, record));
  return [{ headers, data: record.data }];
}

function batched(stream: string, store: MessageStore, request: DirectRequest): DirectReply[] {
  const { seq = 0, next_by_subj: next, batch = 0, max_bytes: mostBytes } = request;
  const filter = new SubjectFilter(next === undefined ? [] : [next]);
  const replies: DirectReply[] = [];
  let pending = store.countFrom(filter, seq);
  let [before, from, bytes] = [0, seq, 0];
  while (replies.length < batch && bytes < (mostBytes || MOST_BYTES)) {
    const record = store.next(filter, from);
    if (!record) break;
    pending--;
    replies.push(part(stream, record, { pending, before }));
    bytes += sizeOf(record);
    before = record.sequence;
    from = record.sequence + 1;
  }
  if (replies.length === 0) return [status("404 Message Not Found")];
  replies.push(endOfBatch({ pending, before }));
  return replies;
}

function multiLast(stream: string, store: MessageStore, request: DirectRequest): DirectReply[] {
  const { multi_last: patterns = [], seq = 0, batch = 0, max_bytes: mostBytes } = request;
  const upTo = request.up_to_seq || store.lastSequence;
  // A server with files does not look for what is not there yet.
  const sequences = upTo > store.lastSequence ? [] : store.lasts(patterns, upTo);
  if (sequences.length > MOST_RESULTS) return [status("413 Too Many Results")];
  if (sequences.length === 0) return [status("404 No Results")];
  const replies: DirectReply[] = [];
  let [pending, before, bytes] = [sequences.length, 0, 0];
  for (const sequence of sequences) {
    pending--;
    const record = store.get(sequence);
    if (sequence < seq || !record) continue;
    replies.push(part(stream, record, { pending, before }));
    before = sequence;
    bytes += sizeOf(record);
    if (bytes >= (mostBytes || MOST_BYTES) || replies.length === batch) break;
  }
  replies.push(endOfBatch({ pending, before, upTo }));
  return replies;
}

function part(
  stream: string,
  record: StoredRecord,
  { pending, before }: { pending: number; before: number },
): DirectReply {
  const headers = withHeaders(record.headers, {
    ...messageHeaders(stream, record),
    "Nats-Num-Pending": pending,
    "Nats-Last-Sequence": before,
  });
  return { headers, data: record.data };
}

function endOfBatch(end: { pending: number; before: number; upTo?: number }): DirectReply {
  return status("204 EOB", {
    "Nats-Num-Pending": end.pending,
    "Nats-Last-Sequence": end.before,
    ...(end.upTo === undefined ? {} : { "Nats-UpTo-Sequence": end.upTo }),
  });
}

function status(text: string, more: Record<string, number> = {}): DirectReply {
  return { headers: statusHeaders(text, more), data: NOTHING };
}

function sizeOf({ subject, headers, data }: StoredRecord): number {
  return subject.length + headers.length + data.length;
}

function asksForSomething(request: DirectRequest): boolean {
  const { seq = 0, last_by_subj, next_by_subj, multi_last = [] } = request;
  return seq > 0 || Boolean(last_by_subj) || Boolean(next_by_subj) || multi_last.length > 0;
}

function isContradictory(request: DirectRequest): boolean {
  const { seq = 0, last_by_subj: last, next_by_subj: next, batch = 0, multi_last = [] } = request;
  if (last !== undefined)
    return seq > 0 || next !== undefined || batch > 0 || multi_last.length > 0;
  return next !== undefined && multi_last.length > 0;
}
