/** Writes down what the servers have: every message of every stream, and what they say of consumers. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiAnswer, callApi, isMissing } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { type LeaderShape, parseTime } from "../../shared/jetstream/stored-message.ts";
import { Journal, trueNow } from "./journal.ts";

/** A message as a dump has it. */
export interface DumpedMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly timeMs: number;
  readonly headers: readonly (readonly [string, string])[];
  /** Base64. */
  readonly data: string;
}

const AT_ONCE = 64;

/** The names of all streams, buckets included. */
export async function streamNames(link: NatsLink): Promise<string[]> {
  const answer = await callApi(link.requests, "STREAM.NAMES", {});
  return ((answer["streams"] ?? []) as string[]).toSorted();
}

/** Dumps every stream into `<folder>/dump`. */
export async function dumpStreams(link: NatsLink, folder: string): Promise<void> {
  mkdirSync(join(folder, "dump"), { recursive: true });
  const streams: unknown[] = [];
  for (const name of await streamNames(link)) {
    const info = await callApi(link.requests, `STREAM.INFO.${name}`, {});
    streams.push(info);
    const { first_seq, last_seq } = info["state"] as { first_seq: number; last_seq: number };
    const journal = new Journal(join(folder, "dump"), `${name}.jsonl`);
    for await (const message of readMessages(link, name, first_seq, last_seq))
      journal.write(message);
  }
  const told = JSON.stringify({ at: trueNow(), streams }, undefined, 1);
  writeFileSync(join(folder, "dump", "streams.json"), told);
}

/** Dumps what the servers say of all consumers, for people: where they say nothing, it is left out. */
export async function dumpConsumers(link: NatsLink, folder: string, file: string): Promise<void> {
  mkdirSync(join(folder, "dump"), { recursive: true });
  const all: unknown[] = [];
  for (const stream of await streamNames(link)) {
    const path = `CONSUMER.LIST.${stream}`;
    const answer: ApiAnswer = await callApi(link.requests, path, {}).catch(() => ({}));
    for (const info of (answer["consumers"] ?? []) as unknown[]) all.push({ stream, info });
  }
  writeFileSync(join(folder, "dump", file), JSON.stringify(all, undefined, 1));
}

/** The messages that are stored from one sequence to another, as the stream's leader knows them. */
export async function* readMessages(
  link: NatsLink,
  stream: string,
  first: number,
  last: number,
): AsyncGenerator<DumpedMessage> {
  for (let from = Math.max(first, 1); from <= last; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, last - from + 1);
    const sequences = Array.from({ length: count }, (_, i) => from + i);
    const answers = await Promise.all(
      sequences.map((seq) => callApi(link.requests, `STREAM.MSG.GET.${stream}`, { seq })),
    );
    for (const answer of answers) {
      const message = messageOf(answer, stream);
      if (message) yield message;
    }
  }
}

function messageOf(answer: ApiAnswer, stream: string): DumpedMessage | undefined {
  if (isMissing(answer)) return undefined;
  if (answer.error) throw new Error(`${stream} cannot be read: ${answer.error.description}`);
  const { subject, seq, hdrs, data = "", time } = answer["message"] as LeaderShape;
  const lines = Buffer.from(hdrs ?? "", "base64")
    .toString()
    .split("\r\n")
    .slice(1);
  const headers = lines.filter(Boolean).map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { sequence: seq, subject, timeMs: parseTime(time), headers, data };
}
