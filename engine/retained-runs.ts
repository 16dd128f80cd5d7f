/**
 * Reads what the retention of a run depends on: start, last commit and parent. Start and last commit are
 * of one moment of one replica, which says up to where it knew the log.
 */
import { decodeCommit, type StoredCommit } from "../shared/entries.ts";
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { LastMessages, StoredMessage } from "../shared/jetstream/reader.ts";
import { decodeReady, decodeStart, type Ready } from "../shared/messages.ts";
import { prefixOf } from "../shared/subjects.ts";
import type { FoundEnd } from "./ended-runs.ts";
import type { LastReads } from "./last-reads.ts";
import { shardOf } from "./past.ts";
import type { RetainedRun } from "./retention-decision.ts";
import type { EngineServices } from "./services.ts";

/** A run as one read shows it. */
export interface ReadRun extends RetainedRun {
  readonly stream: string;
  readonly prefix: string;
  readonly history: string;
  readonly parentPrefix: string | undefined;
  readonly tail: RetainedRun["tail"] & Pick<StoredCommit, "sequence" | "pass" | "token">;
  /** The read knew of everything up to this sequence. */
  readonly upTo: number;
}

/** Reads of replicas that are behind, before an error says so. */
const STALE_TRIES = 20;
const STALE_PAUSE_MS = 50;

/** Reads runs whose keep time is over. */
export class RetainedRuns {
  readonly #services: EngineServices;
  readonly #reads: Pick<LastReads, "last">;

  constructor(services: EngineServices, reads: Pick<LastReads, "last">) {
    this.#services = services;
    this.#reads = reads;
  }

  /** What is known of the runs of these histories, each with as much as one replica knew. */
  async read(ends: readonly FoundEnd[]): Promise<ReadRun[]> {
    const { names, link, clock, signal } = this.#services;
    const byStream = new Map<string, Map<string, number>>();
    for (const { history, sequence } of ends) {
      const stream = names.logStream(shardOf(history));
      const histories = byStream.get(stream) ?? new Map<string, number>();
      histories.set(history, Math.max(sequence, histories.get(history) ?? 0));
      byStream.set(stream, histories);
    }
    const runs: ReadRun[] = [];
    for (const [stream, histories] of byStream) {
      const subjects = [...histories.keys()].flatMap((history) => [
        `${prefixOf(history)}.token.start`,
        history,
      ]);
      const atLeast = Math.max(...histories.values());
      for (let tries = 1; ; tries++) {
        const lasts = await link.reader.multiLast(stream, subjects, { signal });
        if (lasts.upToSequence >= atLeast || (await this.#areGone(stream, lasts, histories))) {
          const found = new Map(lasts.messages.map((message) => [message.subject, message]));
          const read = [...histories.keys()].map((history) =>
            this.#readOne(stream, history, found, lasts.upToSequence),
          );
          for (const run of await Promise.all(read)) if (run) runs.push(run);
          break;
        }
        if (tries === STALE_TRIES) throw new UnavailableError(`A replica of ${stream} is behind.`);
        await pause(clock, STALE_PAUSE_MS, signal);
      }
    }
    return runs;
  }

  /** An answer without any message does not say how new it is: the leader is asked. */
  async #areGone(
    stream: string,
    { messages }: Pick<LastMessages, "messages">,
    histories: ReadonlyMap<string, number>,
  ): Promise<boolean> {
    if (messages.length > 0) return false;
    const { link, signal } = this.#services;
    const lasts = await Promise.all(
      [...histories.keys()].map((history) =>
        link.reader.lastFor(stream, history, { leader: true, signal }),
      ),
    );
    return lasts.every((last) => last === undefined);
  }

  async #readOne(
    stream: string,
    history: string,
    found: ReadonlyMap<string, StoredMessage>,
    upTo: number,
  ): Promise<ReadRun | undefined> {
    const { link, signal } = this.#services;
    const prefix = prefixOf(history);
    const stored = found.get(history);
    const [tail] = stored
      ? readable((message) => decodeCommit(message.data, message.sequence, history))(stored)
      : [];
    if (!tail || !stored) return undefined;
    const subject = `${prefix}.token.start`;
    const last = found.get(subject);
    // What somebody has published behind a start is no start as long as the first one is there.
    const first =
      last === undefined || last.sequence === tail.startSequence
        ? last
        : await link.reader.get(stream, tail.startSequence, { leader: true, signal });
    const start = first?.subject === subject ? first : last;
    const parentPrefix = history.endsWith(".c") && start ? await this.#parentOf(start) : undefined;
    return {
      ...{ stream, prefix, history, upTo, parentPrefix },
      startSequence: start?.sequence,
      tail: { ...tail, timeMs: stored.timeMs },
      hasParent: parentPrefix !== undefined,
    };
  }

  /** The prefix of the run that this one is a child of, if that is there still. */
  async #parentOf(start: StoredMessage): Promise<string | undefined> {
    const { names, link, signal } = this.#services;
    const [child] = readable(({ data }) => decodeStart(data, start.subject))(start);
    if (!child?.parent) return undefined;
    const { taskName, runId, startSequence } = child.parent;
    const { prefix, stream } = names.run({ taskName, runId });
    const subject = `${prefix}.token.start`;
    const last = await this.#reads.last(stream, subject, startSequence);
    if (last === undefined || last.sequence === startSequence) return last && prefix;
    const first = await link.reader.get(stream, startSequence, { leader: true, signal });
    return first?.subject === subject ? prefix : undefined;
  }

  /**
   * The tokens of a run that were stored behind a sequence, up to its last commit at least.
   * @throws {UnavailableError} When replicas are behind.
   */
  async tokensAfter({ stream, prefix, history, tail }: ReadRun, after: number): Promise<Ready[]> {
    const { link, signal } = this.#services;
    const subject = `${prefix}.token.ready`;
    // Any replica may answer the second question, so it has to know the last token of the first one.
    const { messages, upToSequence } = await link.reader.multiLast(stream, [subject, history], {
      signal,
    });
    const last = messages.find((message) => message.subject === subject)?.sequence ?? 0;
    const tokens = await link.reader.readSubject(stream, subject, after + 1, { signal });
    const isBehind = last > after && (tokens.at(-1)?.sequence ?? 0) < last;
    if (upToSequence < tail.sequence || isBehind)
      throw new UnavailableError(`A replica of ${stream} is behind.`);
    return tokens.flatMap(readable(({ data, subject: where }) => decodeReady(data, where)));
  }
}

/** Decodes a message; what cannot be read is left out. */
function readable<T>(
  decode: (message: StoredMessage) => T,
): (message: StoredMessage) => readonly T[] {
  return (message) => {
    try {
      return [decode(message)];
    } catch (error) {
      if (error instanceof ContrailError) return [];
      throw error;
    }
  };
}
