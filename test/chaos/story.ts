/**
 * Chaos runs that never took place: a directory as the runner would leave it, told message by message,
 * for the tests of the checker. What is not told otherwise is in order.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, encodeCommit } from "../../shared/entries.ts";
import {
  type Because,
  encodeCancel,
  encodeReady,
  encodeStart,
  encodeWait,
  type ParentReference,
  type WatchedLeaf,
} from "../../shared/messages.ts";
import { statusAfter } from "../../worker/committer.ts";

/** What a line of a file holds. */
export type Fields = { [field: string]: unknown };

/** A message of a dump. */
export interface Told {
  sequence: number;
  subject: string;
  timeMs: number;
  headers: [string, string][];
  data: string;
}

/** When the story begins, in milliseconds since the epoch. */
export const BEGIN = 1_700_000_000_000;
const LOG = "contrail_LOG_0";
const EVENTS = "contrail_EVENTS";

/** A directory in the making. Times are in milliseconds since the story's beginning. */
export class Story {
  readonly summary: Fields = {
    ...{ version: 1, seed: 7, topology: "r1", minutes: 1, faults: ["kill"], namespace: "contrail" },
    ...{ startedAt: BEGIN, healedAt: BEGIN + 90_000, endedAt: BEGIN + 101_000, ended: "healed" },
    settings: { claimTimeoutMs: 2_000, slots: { regular: 2, durable: 2 } },
  };
  readonly files: { [name: string]: Fields[] } = {
    "operations-client-1": [],
    "effects-worker-1.0": [],
    ...{ faults: [], processes: [], leases: [] },
  };
  readonly streams: { [name: string]: Told[] } = { [LOG]: [], [EVENTS]: [] };
  readonly live: { [name: string]: Told[] } = {};
  /** Runs that have not ended, and why. */
  readonly listed: Fields[] = [];
  /** Who holds slots when nobody lives any more. */
  readonly slots: Fields[] = [];
  /** The time at which the next thing happens. */
  now = 0;
  #operations = 0;

  /** Time goes by. */
  wait(ms: number): this {
    this.now += ms;
    return this;
  }

  /** A line of a file of the runner's. */
  line(file: string, fields: Fields): Fields {
    const line = { at: BEGIN + this.now, ...fields };
    this.files[file]?.push(line);
    return line;
  }

  /** A client asks for something and is answered. */
  operation(edge: string, invoked: Fields, answer: Fields = {}): void {
    const id = `client-1-${this.#operations++}`;
    const { op } = invoked;
    this.line("operations-client-1", { id, process: "client-1", edge: "invoke", ...invoked });
    if (edge !== "") this.line("operations-client-1", { id, edge, op, ...answer });
  }

  /** The code of a step writes. */
  effect(run: string, step: string, phase: string, fields: Fields = {}): void {
    const [taskName, runId] = run.split("/");
    const common = { process: "worker-1.0", taskName, runId, step, attempt: 1, phase };
    this.line("effects-worker-1.0", { ...common, ...fields });
  }

  /** A step is executed. */
  step(run: string, step: string, token: number | undefined, fields: Fields = {}): void {
    const fence = token === undefined ? {} : { token: String(token).padStart(16, "0") };
    this.effect(run, step, "begin", { ...fence, ...fields });
    this.wait(10).effect(run, step, "end", { ...fence, ...fields });
  }

  /** A client starts a run. */
  start(run: string, input: unknown, parent?: ParentReference): number {
    const [taskName, runId] = run.split("/");
    if (!parent) this.operation("ok", { op: "start", taskName, runId, payload: input });
    const events = { after: 0, created: "then" };
    const common = { input, events, nonce: `n-${run}`, by: "client" };
    return this.message(run, "start", encodeStart(parent ? { ...common, parent } : common));
  }

  /** A worker appends to a history. */
  commit(run: string, pass: string, token: number, entries: readonly Entry[], kind = "h"): number {
    const startSequence = this.of(run, "start")?.sequence ?? 0;
    const time = BEGIN + this.now;
    const body = encodeCommit({ startSequence, pass, token, time, entries }, run);
    return this.message(run, kind, body, [["Contrail-Status", statusAfter(entries)]]);
  }

  /** A token for the last commit. */
  ready(run: string, because: Because, answers?: number): number {
    const last = answers ?? this.of(run, "h")?.sequence ?? 0;
    return this.message(run, "ready", this.#token(run, last, because));
  }

  /** A timer for the last commit. */
  timer(run: string, dueAt: number): number {
    const last = this.of(run, "h")?.sequence ?? 0;
    const headers: [string, string][] = [["Nats-Schedule", `@at ${BEGIN + dueAt}`]];
    return this.message(run, "timer", this.#token(run, last, { timer: BEGIN + dueAt }), headers);
  }

  /** A registration for the last commit. */
  register(run: string, leaves: readonly WatchedLeaf[]): number {
    const startSequence = this.of(run, "start")?.sequence ?? 0;
    const waitSequence = this.of(run, "h")?.sequence ?? 0;
    const common = { waitSequence, startSequence, isChild: false, leaves, consumed: [] };
    return this.message(run, "wait", encodeWait({ ...common, passMs: 1 }));
  }

  /** A client asks to cancel. */
  cancel(run: string): number {
    const [taskName, runId] = run.split("/");
    this.operation("ok", { op: "cancel", taskName, runId });
    const startSequence = this.of(run, "start")?.sequence ?? 0;
    const request = { startSequence, by: "client", reason: "", isTermination: false };
    return this.message(run, "cancel", encodeCancel(request));
  }

  /** A client publishes an event. */
  publish(eventName: string, payload: unknown): number {
    const sequence = this.#store(
      EVENTS,
      `events.${eventName}`,
      Buffer.from(JSON.stringify(payload)),
    );
    this.operation("ok", { op: "publish", eventName, payload }, { value: { sequence } });
    return sequence;
  }

  /** Any message of a run. */
  message(run: string, kind: string, body: Uint8Array, headers: [string, string][] = []): number {
    return this.#store(LOG, subjectOf(run, kind), body, headers);
  }

  /** The last message of a run of one kind. */
  of(run: string, kind: string): Told | undefined {
    const subject = subjectOf(run, kind);
    return this.streams[LOG]?.findLast((message) => message.subject === subject);
  }

  /** Takes a message away. */
  remove(sequence: number): void {
    const log = this.streams[LOG] ?? [];
    log.splice(
      log.findIndex((message) => message.sequence === sequence),
      1,
    );
  }

  /** Writes the directory. */
  write(): string {
    const folder = mkdtempSync(join(tmpdir(), "contrail-story-"));
    const lines = (items: readonly unknown[]): string =>
      items.map((item) => `${JSON.stringify(item)}\n`).join("");
    for (const inner of ["dump", "live"]) mkdirSync(join(folder, inner));
    writeFileSync(join(folder, "run.json"), JSON.stringify(this.summary));
    for (const [name, items] of Object.entries(this.files))
      writeFileSync(join(folder, `${name}.jsonl`), lines(items));
    for (const [name, items] of Object.entries(this.streams))
      writeFileSync(join(folder, "dump", `${name}.jsonl`), lines(items));
    for (const [name, items] of Object.entries(this.live))
      writeFileSync(join(folder, "live", `${name}.jsonl`), lines(items));
    writeFileSync(join(folder, "dump", "slots.json"), JSON.stringify(this.slots));
    writeFileSync(
      join(folder, "dump", "runs.json"),
      JSON.stringify([...this.listed, ...this.#ended()]),
    );
    return folder;
  }

  /** What a list says of the other runs: by their last headers. */
  #ended(): Fields[] {
    const last = new Map<string, Fields>();
    for (const { subject, headers } of this.streams[LOG] ?? []) {
      const [, , , taskName = "", runId = "", ...kind] = subject.split(".");
      if (this.listed.some((row) => row["runId"] === runId)) continue;
      const status = headers.find(([name]) => name === "Contrail-Status")?.[1];
      const row = { taskName, runId, status: kind.at(-1) === "start" ? "queued" : status };
      if (/^(start|h|c)$/.test(kind.at(-1) ?? "")) last.set(`${taskName}.${runId}`, row);
    }
    return [...last.values()];
  }

  #token(run: string, answers: number, because: Because): Uint8Array {
    const startSequence = this.of(run, "start")?.sequence ?? 0;
    return encodeReady({ answers, startSequence, isChild: false, because });
  }

  #store(
    stream: string,
    subject: string,
    body: Uint8Array,
    headers: [string, string][] = [],
  ): number {
    const messages = this.streams[stream] ?? [];
    const sequence = (messages.at(-1)?.sequence ?? 0) + 1;
    const data = Buffer.from(body).toString("base64");
    messages.push({ sequence, subject, timeMs: BEGIN + Math.floor(this.now), headers, data });
    return sequence;
  }
}

/** Where a message of a run is stored. */
function subjectOf(run: string, kind: string): string {
  const level = kind === "start" || kind === "ready" ? "token." : "";
  return `contrail.log.0.${run.replace("/", ".")}.${level}${kind}`;
}
