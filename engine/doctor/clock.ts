/** How far this machine's clock is from the servers'. Contrail goes by theirs; people compare. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Names } from "../../shared/subjects.ts";
import { durationText } from "../../shared/time-text.ts";
import type { Finding } from "./findings.ts";

/** A difference that people do not notice. */
const HARMLESS_MS = 1_000;

/** Compares the clocks by one question to the server that leads the first shard. */
export async function findClock(link: NatsLink, names: Names): Promise<Finding[]> {
  const before = link.clock.now();
  const state = await link.reader.streamState(names.logStream(0));
  const after = link.clock.now();
  return state ? [clockFinding({ before, after, at: state.answeredAtMs })] : [];
}

/** What the question says: the server's time lies between the two readings of ours. */
export function clockFinding(reading: {
  readonly before: number;
  readonly after: number;
  /** The server's clock when it answered. */
  readonly at: number;
}): Finding {
  const { before, after, at } = reading;
  const differenceMs = Math.round((before + after) / 2 - at);
  const uncertaintyMs = Math.ceil((after - before) / 2);
  const isHarmless = Math.abs(differenceMs) - uncertaintyMs < HARMLESS_MS;
  const direction = differenceMs > 0 ? "ahead of" : "behind";
  return {
    check: "clock",
    verdict: isHarmless ? "ok" : "note",
    message: isHarmless
      ? `This machine's clock agrees with the server's within ${durationText(Math.abs(differenceMs) + uncertaintyMs)}.`
      : `This machine's clock is ${durationText(Math.abs(differenceMs))} ${direction} the server's. Runs go by the server's; dates that you compute here for sleepUntil are off by that.`,
    details: { differenceMs, uncertaintyMs },
  };
}
