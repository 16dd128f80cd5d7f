/**
 * Removes payloads that no log can refer to any more: those of runs that were purged, and those whose
 * start was never stored. What a pass stored and did not live to refer to goes with its run.
 *
 * O1. Nothing younger than an hour is removed: its start may be on its way.
 * O2. A payload stays while the log of any of its owners does; leaders are asked about those that a
 *     replica does not show.
 * O3. A payload that is older by more than an hour than the start of its run is of an earlier run of
 *     that id.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { purgeSubject } from "../shared/jetstream/admin.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { PAYLOAD_ORPHAN_MS, PAYLOAD_SWEEP_MS } from "../shared/limits.ts";
import { ownersOf } from "../shared/payload-reference.ts";
import type { Names, RunAddress } from "../shared/subjects.ts";
import type { EngineServices } from "./services.ts";

/** What a sweep needs. */
export interface PayloadSweepLink {
  readonly link: Pick<NatsLink, "reader" | "requests">;
  readonly names: Names;
  readonly signal?: AbortSignal | undefined;
}

/** A payload that is old enough. */
interface OldPayload {
  readonly name: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly owners: readonly RunAddress[];
}

/** Looks through the object store from time to time, while its engine leads. */
export class PayloadSweep {
  readonly #services: EngineServices;
  #stopTimer: CancelTimer | undefined;
  #removed = 0;

  constructor(services: EngineServices) {
    this.#services = services;
  }

  /** How many payloads were removed since the term began. */
  get removed(): number {
    return this.#removed;
  }

  /** Begins to look. */
  start(): void {
    const { clock, signal } = this.#services;
    this.#stopTimer = clock.after(PAYLOAD_SWEEP_MS, () => {
      void this.#look().finally(() => {
        if (!signal.aborted) this.start();
      });
    });
  }

  close(): void {
    this.#stopTimer?.();
  }

  async #look(): Promise<void> {
    const { signal, log } = this.#services;
    try {
      this.#removed += await sweepPayloads(this.#services);
    } catch (error) {
      if (!signal.aborted) log.warn(`Looking for payloads of no run failed: ${String(error)}`);
    }
  }
}

/**
 * Removes what no log refers to, once. Safe to repeat and to do from several processes.
 * @param olderThanMs What is younger stays.
 * @returns How many payloads were removed.
 */
export async function sweepPayloads(
  { link, names, signal }: PayloadSweepLink,
  olderThanMs: number = PAYLOAD_ORPHAN_MS,
): Promise<number> {
  const options = signal === undefined ? {} : { signal };
  const stream = names.payloadsStream;
  const state = await link.reader.streamState(stream, options);
  if (!state || state.messageCount === 0) return 0;
  const [, information] = names.payloadSubjects;
  let removed = 0;
  for (let from = 1; ; ) {
    const page = await link.reader.readPage(stream, information, from, options);
    const old: OldPayload[] = [];
    for (const { sequence, timeMs, data } of page.messages) {
      from = sequence + 1;
      const name = nameIn(data);
      const owners = name === undefined ? undefined : ownersOf(name);
      const isOld = timeMs < state.answeredAtMs - olderThanMs;
      if (isOld && name !== undefined && owners) old.push({ name, sequence, timeMs, owners });
    }
    for (const payload of await ownerless({ link, names, signal }, old, olderThanMs)) {
      await remove({ link, names, signal }, payload);
      removed++;
    }
    if (page.messages.length === 0 || page.pending === 0) return removed;
  }
}

/** Those of them whose owners have no log, or a later one. */
async function ownerless(
  { link, names, signal }: PayloadSweepLink,
  payloads: readonly OldPayload[],
  olderThanMs: number,
): Promise<OldPayload[]> {
  const options = signal === undefined ? {} : { signal };
  const streams = new Map<string, string>();
  for (const { owners } of payloads)
    for (const owner of owners) {
      const { stream, prefix } = names.run(owner);
      streams.set(`${prefix}.token.start`, stream);
    }
  const startedAt = new Map<string, number>();
  for (const stream of new Set(streams.values())) {
    const subjects = [...streams].flatMap(([subject, where]) =>
      where === stream ? [subject] : [],
    );
    const { messages } = await link.reader.multiLast(stream, subjects, options);
    for (const { subject, timeMs } of messages) startedAt.set(subject, timeMs);
  }
  for (const [subject, stream] of streams) {
    if (startedAt.has(subject)) continue;
    const start = await link.reader.lastFor(stream, subject, { leader: true, ...options });
    if (start) startedAt.set(subject, start.timeMs);
  }
  return payloads.filter(({ owners, timeMs }) =>
    owners.every((owner) => {
      const started = startedAt.get(`${names.run(owner).prefix}.token.start`);
      return started === undefined || started > timeMs + olderThanMs;
    }),
  );
}

/** The parts first: what is half removed is found again by its information. */
async function remove(
  { link, names, signal }: PayloadSweepLink,
  { name, sequence }: OldPayload,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  const stream = names.payloadsStream;
  const chunks = { stream, subject: names.payloadChunks(name.replaceAll("/", ".")) };
  await purgeSubject(link.requests, { ...chunks, before: Number.MAX_SAFE_INTEGER }, options);
  const information = { stream, subject: names.payloadInformation(name), before: sequence + 1 };
  await purgeSubject(link.requests, information, options);
}

/** The name that is stored with a payload. */
export function nameIn(information: Uint8Array): string | undefined {
  try {
    const { name } = JSON.parse(new TextDecoder().decode(information)) as { name?: unknown };
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined; // somebody else keeps things here too
  }
}
