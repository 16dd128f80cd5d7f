/** Sets a namespace up for somebody who has no connection yet. */
import { connectNats, type NatsOptions } from "../shared/jetstream/connection.ts";
import { FOREVER, keepEndedMsOf } from "../shared/setup.ts";
import { type SetupOptions, setupNamespace } from "./setup.ts";

/** A namespace as it is now. */
export interface PreparedNamespace {
  readonly namespace: string;
  readonly shards: number;
  readonly replicas: number;
  readonly claimTimeoutMs: number;
  readonly eventsKeepMs: number;
  /** How long ended runs are kept. */
  readonly keepEndedMs: number | "forever";
}

/**
 * Creates the streams and buckets of a namespace or checks them, as starting an engine does, and
 * changes what may be changed and is given.
 * @throws {IncompatibleSetupError} When the server or what exists there does not fit.
 * @throws {InvalidInputError} When an option is out of its range.
 * @throws {UnavailableError} When no server answers.
 */
export async function prepareNamespace(
  options: SetupOptions & NatsOptions,
): Promise<PreparedNamespace> {
  const link = await connectNats({ name: "contrail setup", ...options });
  try {
    const { namespace, shardCount, claimTimeoutMs, names } = await setupNamespace(link, options);
    const log = await link.reader.streamState(names.logStream(0));
    const events = await link.reader.streamState(names.eventsStream);
    const keepEndedMs = keepEndedMsOf(log?.config ?? {});
    return {
      namespace,
      shards: shardCount,
      replicas: Number(log?.config.num_replicas ?? 1),
      claimTimeoutMs,
      eventsKeepMs: Number(events?.config.max_age ?? 0) / 1e6,
      keepEndedMs: Number.isFinite(keepEndedMs) ? keepEndedMs : FOREVER,
    };
  } finally {
    await link.close();
  }
}
