/** Everything that is stored in the log and the events, byte for byte. */

import { callApi } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { LeaderShape } from "../../shared/jetstream/stored-message.ts";

/** Streams of the namespace that nobody writes to while all runs wait. */
export const STREAMS: readonly string[] = ["contrail_LOG_0", "contrail_LOG_1", "contrail_EVENTS"];

/** All messages of the streams, with their headers, as texts. The leaders are asked. */
export async function stored(
  link: NatsLink,
  streams: readonly string[] = STREAMS,
): Promise<readonly string[]> {
  const all: string[] = [];
  for (const stream of streams) {
    const state = await link.reader.streamState(stream);
    for (let sequence = 1; sequence <= (state?.lastSequence ?? 0); sequence++) {
      const answer = await callApi<{ message: LeaderShape }>(
        link.requests,
        `STREAM.MSG.GET.${stream}`,
        { seq: sequence },
      );
      if (answer.message === undefined) continue;
      const { subject, seq, hdrs = "", data = "" } = answer.message;
      all.push([stream, seq, subject, hdrs, data].join(" "));
    }
  }
  return all;
}

/** Only the subjects. */
export async function subjectsIn(
  link: NatsLink,
  streams: readonly string[] = STREAMS,
): Promise<readonly string[]> {
  return (await stored(link, streams)).map((line) => line.split(" ")[2] as string);
}
