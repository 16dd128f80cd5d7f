/** What every part of a worker is given. */
import type { Clock } from "../shared/clock.ts";
import type { EventsPosition } from "../shared/events-position.ts";
import type { Failpoint } from "../shared/failpoints.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import type { LogSink } from "../shared/logger.ts";
import type { Payloads } from "../shared/payloads.ts";
import type { ServerClock } from "../shared/server-clock.ts";
import type { Names } from "../shared/subjects.ts";
import type { Notes } from "../shared/undecodable.ts";

/** The parts of the connection a worker needs, so that tests can put an in-memory server behind it. */
export type WorkerLink = Pick<NatsLink, "publisher" | "reader" | "maxPayload">;

/** Shared by all passes of one worker process. */
export interface Services {
  readonly link: WorkerLink;
  readonly names: Names;
  /** Unique to this process. */
  readonly workerId: string;
  readonly clock: Clock;
  /** The clock of the server that leads a shard. */
  readonly serverClock: (shard: number) => ServerClock;
  readonly events: EventsPosition;
  /** Values that are too large for the log. */
  readonly payloads: Payloads;
  /** Where messages go that nobody can read. */
  readonly undecodable: Notes;
  readonly log: LogSink;
  readonly claimTimeoutMs: number;
  /** Named places for tests; see failpoints.ts. */
  readonly failpoint: Failpoint;
}
