/**
 * Finds the ends in a shard of the log, in the order in which they were stored, by headers alone. The
 * log is in order of time, so whoever comes back begins where they stopped, and nothing is read twice.
 */
import { follow } from "../shared/jetstream/follower.ts";
import { isEnd } from "./past.ts";
import type { EngineServices } from "./services.ts";

/** Which part of the log to look at. */
export interface EndSearch {
  readonly shard: number;
  /** The first sequence. */
  readonly from: number;
  /** The search is over at the first message that was stored after this time. */
  readonly untilMs: number;
}

/** A commit that ended its run, by its header. */
export interface FoundEnd {
  /** The subject of the history. */
  readonly history: string;
  readonly sequence: number;
}

/** So many are handed over at a time. */
const ENDS_AT_ONCE = 32;

/**
 * Hands the ends over, some at a time; the next ones wait until it has taken them.
 * @param take Also told the sequence up to which everything has been handed over with this call.
 * @returns When the first message was stored that is too young; nothing when there is none.
 * @throws Whatever `take` throws.
 */
export async function findEnds(
  { link, names, signal }: Pick<EngineServices, "link" | "names" | "signal">,
  { shard, from, untilMs }: EndSearch,
  take: (ends: readonly FoundEnd[], upTo: number) => Promise<void>,
): Promise<number | undefined> {
  let found: FoundEnd[] = [];
  let upTo = from - 1;
  let youngMs: number | undefined;
  let isOver = false;
  let stop: (error?: unknown) => void = () => {};
  const stopped = new Promise<void>((resolve, reject) => {
    stop = (error) => {
      isOver = true;
      if (error === undefined) resolve();
      else reject(error);
    };
  });
  const handOver = async (): Promise<void> => {
    const ends = found;
    found = [];
    await take(ends, upTo);
  };
  const follower = follow(link, {
    stream: names.logStream(shard),
    subjects: [], // of which most are histories: filters would cost the server more
    from,
    headersOnly: true,
    onMessage: (message) => {
      if (isOver) return undefined;
      if (message.timeMs > untilMs) {
        youngMs = message.timeMs;
        stop();
        return undefined;
      }
      upTo = message.sequence;
      if (/\.[hc]$/.test(message.subject) && isEnd(message))
        found.push({ history: message.subject, sequence: message.sequence });
      return found.length < ENDS_AT_ONCE ? undefined : handOver().catch(stop);
    },
  });
  const end = (): void => stop();
  signal.addEventListener("abort", end, { once: true });
  try {
    await Promise.race([stopped, follower.caughtUp, follower.done]);
  } finally {
    signal.removeEventListener("abort", end);
    await follower.close();
  }
  if (!signal.aborted) await handOver();
  return youngMs;
}
