/** What every part of an engine is given. */
import type { Clock } from "../shared/clock.ts";
import type { Failpoint } from "../shared/failpoints.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import type { LogSink } from "../shared/logger.ts";
import type { Names } from "../shared/subjects.ts";
import type { Notes } from "../shared/undecodable.ts";

/** Shared by all responsibilities of one engine during one term of leading. */
export interface EngineServices {
  readonly link: NatsLink;
  readonly names: Names;
  readonly clock: Clock;
  readonly log: LogSink;
  /** Where messages go that nobody can read. */
  readonly undecodable: Notes;
  /** Named places for tests; see failpoints.ts. */
  readonly failpoint: Failpoint;
  /** Aborted when the term is over: nothing is written any more. */
  readonly signal: AbortSignal;
}
