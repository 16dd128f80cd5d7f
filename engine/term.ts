/**
 * One term of leading: everything an engine knows is read from the log when it begins and forgotten
 * when it ends.
 *
 * T1. The ends of children and the events are followed from where their streams end when the term
 *     begins; what came before is found by looking back (rule 15).
 * T2. Of registrations, cancels and timers the last of every run is read from the beginning of the
 *     log.
 */
import { setMaxListeners } from "node:events";
import { UnavailableError } from "../shared/errors.ts";
import { type Follower, type FollowerOptions, follow } from "../shared/jetstream/follower.ts";
import type { StoredMessage, StreamState } from "../shared/jetstream/reader.ts";
import { RECENT_EVENT_BYTES, RECENT_EVENTS } from "../shared/limits.ts";
import { claimTimeoutOf } from "../shared/setup.ts";
import { EVENTS_PREFIX, prefixOf } from "../shared/subjects.ts";
import { Cancels, type CancelsStatus } from "./cancels.ts";
import { LastReads } from "./last-reads.ts";
import { LookBack } from "./look-back.ts";
import { LostRuns, type LostRunsStatus } from "./lost-runs.ts";
import { PayloadSweep } from "./payload-sweep.ts";
import { QueuedRuns } from "./queued-runs.ts";
import { EventMessage, RecentEvents } from "./recent-events.ts";
import { Retention, type RetentionStatus } from "./retention.ts";
import type { EngineServices } from "./services.ts";
import { Sweeper, type SweeperStatus } from "./sweeper.ts";
import { Waits, type WaitsStatus } from "./waits.ts";

/** What a term knows, for people. */
export interface TermStatus {
  /** Whether everything that was stored when the term began has been read. */
  readonly isCaughtUp: boolean;
  readonly waits: WaitsStatus;
  readonly cancels: CancelsStatus;
  readonly timers: SweeperStatus;
  readonly lost: LostRunsStatus;
  readonly retention: RetentionStatus;
  /** Sequences up to which was followed: events, and for each shard its slowest follower. */
  readonly positions: { readonly events: number; readonly shards: readonly number[] };
}

/**
 * Looking for lost runs must not slow down those that move: of all shards together at most 512 headers
 * in so many milliseconds are read, some 4,000 a second. While more are stored, it looks later.
 */
const LIVE_REST_MS = 125;
/** What shows whether a run moves. */
const LIVE_KINDS = ["token.start", "h", "c"] as const;

/** An engine while it leads. */
export class Term {
  readonly #services: EngineServices;
  readonly #waits: Waits;
  readonly #queued: QueuedRuns;
  readonly #cancels: Cancels;
  readonly #sweeper: Sweeper;
  readonly #lost: LostRuns;
  readonly #retention: Retention;
  readonly #payloads: PayloadSweep;
  readonly #recent: RecentEvents;
  readonly #reads: LastReads;
  readonly #ends: StreamEnds;
  #children: Follower[] = [];
  #records: Follower[] = [];
  #timers: Follower[] = [];
  /** Begin when what is registered is known. */
  #live: Follower[] = [];
  #isOver = false;
  #events: Follower | undefined;
  #isCaughtUp = false;

  /** Reads where the streams end and begins to follow. */
  static async begin(services: EngineServices): Promise<Term> {
    setMaxListeners(0, services.signal); // every read and write under way listens to it
    const term = new Term(services, await readEnds(services));
    term.#follow();
    return term;
  }

  private constructor(services: EngineServices, ends: StreamEnds) {
    const { link, names, clock, signal } = services;
    const { reader } = link;
    this.#services = services;
    this.#ends = ends;
    this.#reads = new LastReads({ reader, clock, signal });
    this.#recent = new RecentEvents(ends.events + 1, {
      events: RECENT_EVENTS,
      bytes: RECENT_EVENT_BYTES,
    });
    const stream = names.eventsStream;
    this.#waits = new Waits({
      services,
      reads: this.#reads,
      lookBack: new LookBack({ reader, reads: this.#reads, stream, clock, signal }),
      recent: this.#recent,
      onToken: ({ prefix, waitSequence }) => this.#lost.noteToken(prefix, waitSequence),
      childrenPosition: (shard) => this.#children[shard]?.position ?? 0,
      logEnd: (shard) => ends.shards[shard] ?? 0,
      eventsStream: { created: ends.eventsCreated, endedAt: ends.events },
    });
    this.#queued = new QueuedRuns(services);
    this.#cancels = new Cancels(services, this.#reads, this.#queued, ({ prefix, waitSequence }) =>
      this.#lost.noteToken(prefix, waitSequence),
    );
    this.#sweeper = new Sweeper(services, this.#reads, (prefix) => this.#lost.noteNoTimer(prefix));
    this.#lost = new LostRuns(services, {
      claimTimeoutMs: ends.claimTimeoutMs,
      isRegistered: (prefix, wait, kinds) => this.#isRegistered(prefix, wait, kinds),
    });
    this.#retention = new Retention(services, this.#reads);
    this.#payloads = new PayloadSweep(services);
  }

  get status(): TermStatus {
    const shards = this.#records.map((records, shard) => {
      const others = [this.#children[shard]?.position, this.#timers[shard]?.position];
      return Math.min(records.position, ...others.map((position) => position ?? 0));
    });
    return {
      isCaughtUp: this.#isCaughtUp,
      waits: this.#waits.status,
      cancels: this.#cancels.status,
      timers: this.#sweeper.status,
      lost: this.#lost.status,
      retention: this.#retention.status,
      positions: { events: this.#recent.lastSequence, shards },
    };
  }

  /** Resolves when the term is over. Rejected when a stream cannot be followed any more. */
  async run(): Promise<void> {
    const { signal } = this.#services;
    const followers = this.#followers();
    const over = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const caughtUp = Promise.all(followers.map((follower) => follower.caughtUp));
    const live = caughtUp.then(
      () => {
        this.#isCaughtUp = true;
        return signal.aborted || this.#isOver ? undefined : this.#followLive();
      },
      () => undefined, // a follower has ended, which `done` tells
    );
    const all = [...followers.map((follower) => follower.done), live];
    try {
      await Promise.race([over, Promise.all(all)]);
    } finally {
      this.#isOver = true;
      this.#waits.close();
      this.#cancels.close();
      this.#sweeper.close();
      this.#lost.close();
      this.#retention.close();
      this.#payloads.close();
      await Promise.all([...followers, ...this.#live].map((follower) => follower.close()));
    }
  }

  #followers(): Follower[] {
    const events = this.#events ? [this.#events] : [];
    return [...this.#children, ...events, ...this.#records, ...this.#timers];
  }

  /** The ends of children and events come first: registrations note how far they are (rule 15). */
  #follow(): void {
    const { names } = this.#services;
    this.#events = this.#open({
      stream: names.eventsStream,
      subjects: [`${EVENTS_PREFIX}>`],
      from: this.#ends.events + 1,
      onMessage: (message) => this.#waits.offer(toEvent(message)),
    });
    this.#children = this.#ends.shards.map((end, shard) =>
      this.#open({
        stream: names.logStream(shard),
        subjects: [names.everyRun(shard, "c")],
        from: end + 1,
        headersOnly: true,
        onMessage: (message) => {
          this.#reads.witness(names.logStream(shard), message.subject);
          this.#waits.noteChild(message);
        },
      }),
    );
    this.#records = this.#ends.shards.map((_, shard) =>
      this.#open({
        stream: names.logStream(shard),
        subjects: (["wait", "cancel", "expired"] as const).map((kind) =>
          names.everyRun(shard, kind),
        ),
        from: "last-per-subject",
        onMessage: (message) => this.#record(names.logStream(shard), message),
      }),
    );
    this.#timers = this.#ends.shards.map((_, shard) =>
      this.#open({
        stream: names.logStream(shard),
        subjects: [names.everyRun(shard, "timer")],
        from: "last-per-subject",
        headersOnly: true,
        onMessage: (message) => {
          const prefix = prefixOf(message.subject);
          this.#sweeper.note(shard, message);
          this.#cancels.noteWaiting(prefix);
          this.#lost.live.noteRegistered(prefix);
        },
      }),
    );
    this.#sweeper.start();
    this.#retention.start();
    this.#payloads.start();
  }

  /** What moves is followed once the registrations of what stands still are known. */
  async #followLive(): Promise<void> {
    const { signal } = this.#services;
    const pictures = this.#ends.shards.map((_, shard) => this.#picture(shard));
    this.#live = pictures;
    await Promise.all(pictures.map(({ caughtUp, done }) => caughtUp.catch(() => done)));
    await Promise.all(pictures.map((picture) => picture.close()));
    if (signal.aborted || this.#isOver) return;
    this.#live = pictures.map(({ position }, shard) => this.#followAll(shard, position + 1));
    this.#lost.start();
    await Promise.all(this.#live.map((follower) => follower.done));
  }

  /** How every run stands. */
  #picture(shard: number): Follower {
    const { names } = this.#services;
    return this.#open({
      stream: names.logStream(shard),
      subjects: LIVE_KINDS.map((kind) => names.everyRun(shard, kind)),
      from: "last-per-subject",
      headersOnly: true,
      onMessage: (message) => this.#noteLive(message),
    });
  }

  /**
   * Follows the whole log of a shard, of which nearly all is wanted: to a consumer with several filters
   * that is behind, the server finds each message by a walk over all subjects of a block (2.15.1).
   */
  #followAll(shard: number, from: number): Follower {
    const { names } = this.#services;
    return this.#open({
      stream: names.logStream(shard),
      subjects: [],
      from,
      headersOnly: true,
      restMs: LIVE_REST_MS * names.shardCount,
      onMessage: (message) => {
        if (LIVE_KINDS.some((kind) => message.subject.endsWith(`.${kind}`)))
          this.#noteLive(message);
      },
    });
  }

  #noteLive(message: StoredMessage): void {
    this.#lost.live.note(message, this.#services.clock.monotonic());
    if (!message.subject.endsWith(".token.start"))
      this.#sweeper.noteMoved(prefixOf(message.subject), message.sequence);
  }

  /** Whether what a waiting commit announces is known to be stored behind it. */
  #isRegistered(prefix: string, wait: number, kinds: readonly string[]): boolean {
    const [timer, watched] = [this.#sweeper.has(prefix, wait), this.#waits.has(prefix, wait)];
    if (kinds.length === 0) return timer || watched; // written by an earlier version
    return (timer || !kinds.includes("timer")) && (watched || !kinds.includes("wait"));
  }

  #record(stream: string, message: StoredMessage): void {
    this.#reads.witness(stream, message.subject);
    if (message.subject.endsWith(".cancel")) this.#cancels.open(message);
    else if (message.subject.endsWith(".expired"))
      void this.#queued.expire(message); // reports its own errors
    else {
      const prefix = prefixOf(message.subject);
      this.#waits.register(message);
      this.#cancels.noteWaiting(prefix);
      this.#lost.live.noteRegistered(prefix);
    }
  }

  #open(options: FollowerOptions): Follower {
    const { link, log } = this.#services;
    const { stream, subjects } = options;
    return follow(link, {
      ...options,
      onInterruption: (reason) =>
        log.warn(`Following ${stream} was interrupted: ${reason}`, { stream, subjects }),
    });
  }
}

/** Where the streams end. */
interface StreamEnds {
  readonly events: number;
  readonly eventsCreated: string;
  readonly shards: readonly number[];
  readonly claimTimeoutMs: number;
}

async function readEnds({ link, names, signal }: EngineServices): Promise<StreamEnds> {
  const read = async (stream: string): Promise<StreamState> => {
    const state = await link.reader.streamState(stream, { signal });
    if (state === undefined) throw new UnavailableError(`There is no stream ${stream}.`);
    return state;
  };
  const logs = Array.from({ length: names.shardCount }, (_, shard) => names.logStream(shard));
  const shards = await Promise.all(logs.map(read));
  const events = await read(names.eventsStream);
  return {
    events: events.lastSequence,
    eventsCreated: events.created,
    shards: shards.map(({ lastSequence }) => lastSequence),
    claimTimeoutMs: claimTimeoutOf(shards[0]?.config ?? {}),
  };
}

function toEvent({ sequence, subject, data, headers, timeMs }: StoredMessage): EventMessage {
  const name = subject.slice(EVENTS_PREFIX.length);
  return new EventMessage({
    sequence,
    name,
    data,
    contentType: headers.last("Content-Type") ?? "",
    timeMs,
  });
}
