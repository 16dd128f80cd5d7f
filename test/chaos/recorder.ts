/**
 * Follows what is stored while the chaos run lasts, besides the dump at its end: leases that are
 * overwritten, timers that fired. It asks now and then and may miss what lives only for a moment.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { callApi } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Names } from "../../shared/subjects.ts";
import { readMessages } from "./dump.ts";
import { Journal, trueNow } from "./journal.ts";
import { pause } from "./pause.ts";

const LOOK_EVERY_MS = 300;
const BEAT_MS = 100;
/** Sooner than this, a beat that is late says nothing. */
const LATE_MS = 50;

/** Writes `leases.jsonl`, `slowness.jsonl` and `live/`. */
export class Recorder {
  readonly #link: NatsLink;
  readonly #stops: (() => void)[] = [];
  readonly #live: string;
  readonly #seen: Map<string, { last: number; readonly journal: Journal }> = new Map();
  #isOver = false;
  #looking: Promise<void> = Promise.resolve();

  constructor(link: NatsLink, names: Names, folder: string) {
    this.#link = link;
    const leases = new Journal(folder, "leases.jsonl");
    for (const pool of ["regular", "durable"] as const) {
      const bucket = names.slotsBucket(pool);
      const subscription = link.nc.subscribe(`$KV.${bucket}.*`, {
        callback: (error, { subject, data }) => {
          if (error !== null) return;
          const common = { at: trueNow(), bucket, key: subject.split(".").at(-1) };
          if (data.length === 0) leases.write({ ...common, operation: "delete" });
          else leases.write({ ...common, operation: "put", value: parsed(data) });
        },
      });
      this.#stops.push(() => subscription.unsubscribe());
    }
    this.#stops.push(beat(new Journal(folder, "slowness.jsonl")));
    this.#live = join(folder, "live");
    mkdirSync(this.#live, { recursive: true });
    const logs = Array.from({ length: names.shardCount }, (_, shard) => names.logStream(shard));
    this.#looking = this.#follow([...logs, names.eventsStream]);
  }

  /** Stops; resolves when the last look is over. */
  async close(): Promise<void> {
    this.#isOver = true;
    for (const stop of this.#stops) stop();
    await this.#looking;
  }

  async #follow(streams: readonly string[]): Promise<void> {
    while (!this.#isOver) {
      // Servers may be down or silent at any time: the next look finds what this one did not.
      for (const stream of streams) await this.#look(stream).catch(() => {});
      await pause(LOOK_EVERY_MS);
    }
  }

  async #look(stream: string): Promise<void> {
    const withinMs = 1_000;
    const info = await callApi(this.#link.requests, `STREAM.INFO.${stream}`, {}, { withinMs });
    const { last_seq = 0 } = (info["state"] ?? {}) as { readonly last_seq?: number };
    const seen = this.#seen.get(stream) ?? {
      ...{ last: 0, journal: new Journal(this.#live, `${stream}.jsonl`) },
    };
    this.#seen.set(stream, seen);
    for await (const message of readMessages(this.#link, stream, seen.last + 1, last_seq)) {
      seen.journal.write(message);
      seen.last = message.sequence;
    }
  }
}

function parsed(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return null;
  }
}

/** Notes how late this machine is with what is due: a judge must not take that for somebody's fault. */
function beat(journal: Journal): () => void {
  let dueAt = performance.now() + BEAT_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    const lateMs = Math.round(now - dueAt);
    if (lateMs > LATE_MS) journal.write({ at: trueNow(), lateMs });
    dueAt = now + BEAT_MS;
  }, BEAT_MS);
  return () => clearInterval(timer);
}
