/** Somebody with all rights who deletes or edits what is ours. */
import { callApi } from "../../../shared/jetstream/api.ts";
import { KvBucket } from "../../../shared/jetstream/kv.ts";
import { until } from "../../helpers/until.ts";
import { readMessages } from "../dump.ts";
import type { World } from "../world.ts";
import type { FaultKind } from "./fault.ts";
import { pickConsumer } from "./storms.ts";

const deletedConsumer: FaultKind = {
  family: "tamper",
  kind: "delete-consumer",
  lastsMs: [0, 0],
  async inject(world, random) {
    const { stream, consumer } = pickConsumer(world, random);
    await callApi(world.link.requests, `CONSUMER.DELETE.${stream}.${consumer}`, undefined);
    return { target: `${stream} ${consumer}`, heal: async () => undefined };
  },
};

/** A run loses what would have woken it, of what was written last. */
function purgedMessages(kind: string, logKind: "timer" | "wait" | "token.ready"): FaultKind {
  return {
    family: "edit",
    kind,
    lastsMs: [0, 0],
    async inject(world, random) {
      const stream = world.names.logStream(random.whole(0, world.names.shardCount - 1));
      const found: { readonly subject: string; readonly sequence: number }[] = [];
      const state = await world.link.reader.streamState(stream);
      const last = state?.lastSequence ?? 0;
      for await (const message of readMessages(world.link, stream, last - 300, last))
        if (message.subject.endsWith(`.${logKind}`)) found.push(message);
      if (found.length === 0) return undefined;
      const { subject, sequence } = random.pick(found);
      // The streams let nobody delete a message; a purge takes those before it along.
      const stored = await world.link.reader.readSubject(stream, subject);
      const purge = { filter: subject, seq: sequence + 1 };
      const answer = await callApi(world.link.requests, `STREAM.PURGE.${stream}`, purge);
      if (answer.error) return undefined;
      const sequences = stored.map((each) => each.sequence).filter((each) => each <= sequence);
      const detail = { subject, sequences };
      return { target: stream, detail, heal: async () => undefined };
    },
  };
}

/** Somebody turns off what the live feed or cheap reads need. */
const editedStream: FaultKind = {
  family: "tamper",
  kind: "edit-stream",
  lastsMs: [1_000, 5_000],
  async inject(world, random) {
    const stream = world.names.logStream(random.whole(0, world.names.shardCount - 1));
    const info = await callApi(world.link.requests, `STREAM.INFO.${stream}`, {});
    const config = info["config"] as Readonly<Record<string, unknown>> | undefined;
    if (!config) return undefined;
    const field = random.pick(["republish", "allow_direct", "description"] as const);
    const edited = {
      republish: { ...config, republish: undefined },
      allow_direct: { ...config, allow_direct: false },
      description: { ...config, description: "edited" },
    }[field];
    // Without an answer it may have been done all the same, so it is undone in any case.
    const error = await update(world, stream, edited).catch(String);
    return { target: stream, detail: { field, error }, heal: () => restore(world, stream, config) };
  },
};

const deletedLead: FaultKind = {
  family: "tamper",
  kind: "delete-lead",
  lastsMs: [0, 0],
  async inject(world) {
    const bucket = world.names.engineBucket;
    await new KvBucket(world.link, bucket).delete("lead");
    return { target: bucket, heal: async () => undefined };
  },
};

/** Until the server says that it is as it was. */
async function restore(world: World, stream: string, config: object): Promise<unknown> {
  const done = async (): Promise<boolean> => (await update(world, stream, config)) === undefined;
  return until(done, { withinMs: 60_000, everyMs: 500, what: `${stream} is as it was` });
}

async function update(world: World, stream: string, config: object): Promise<unknown> {
  const answer = await callApi(world.link.requests, `STREAM.UPDATE.${stream}`, config);
  return answer.error;
}

/** The faults of this family. */
export const tampering: readonly FaultKind[] = [
  deletedConsumer,
  purgedMessages("delete-timer", "timer"),
  purgedMessages("delete-registration", "wait"),
  purgedMessages("delete-tokens", "token.ready"),
  editedStream,
  deletedLead,
];
