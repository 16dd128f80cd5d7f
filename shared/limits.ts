/** Every bound by name, with its unit, and the assertions that hold between them. */
import { invariant } from "./invariant.ts";

/** Bytes of a task name or a run id in UTF-8. Encoded on the wire it may take three times that. */
export const NAME_BYTES = 128;
/** Characters of a namespace. */
export const NAMESPACE_LENGTH = 32;
/** Bytes of the name of a step. */
export const STEP_NAME_BYTES = 128;
/** Levels of objects and lists inside each other in one message, its own frame included. */
export const VALUE_DEPTH = 200;
/** Bytes a value is looked through and encoded to; what the server accepts is less. */
export const VALUE_BYTES: number = 64 * 1024 * 1024;
/** Bytes of one big integer; reading takes time in proportion to their square. */
export const BIG_INTEGER_BYTES = 4_096;

/** Shards of a namespace: from 1 to this many. */
export const SHARD_COUNT = 64;
/** Shards of a namespace that nobody has set up otherwise (design.md, section 3). */
export const DEFAULT_SHARD_COUNT = 4;

/** How long a claim lives without a sign of life: the `ack_wait` of a task's consumers. */
export const CLAIM_TIMEOUT_MS = 10_000;
/** The shortest claim timeout that can be configured. */
export const SHORTEST_CLAIM_TIMEOUT_MS = 1_000;
/** The longest claim timeout that can be configured. */
export const LONGEST_CLAIM_TIMEOUT_MS = 600_000;
/** A lease not renewed disappears after this share of the claim timeout, but not under a second. */
export const LEASE_SHARE_OF_CLAIM = 0.5;
/** Shortest time between two writes of one worker's lease record. */
export const LEASE_WRITE_INTERVAL_MS = 50;

/** Takeovers in a row, without another entry between them, after which a run is paused (rule 9). */
export const TAKEOVERS_BEFORE_PAUSE = 5;
/**
 * Takeovers in a row after which a run is suspected: a worker carries one suspect at a time, so that of
 * several runs that lost the same workers only the one that kills them loses more.
 */
export const TAKEOVERS_BEFORE_SUSPICION = 2;

/** The server wakes its scheduler this often; a timer is published that much early (design.md, 2). */
export const TIMER_LEAD_MS = 250;
/** A sleep up to this long is not registered with the server: a local timer wakes the run. */
export const SHORT_SLEEP_MS = 1_000;
/** An overdue timer still stored after this long was refused by the server: the engine mends it. */
export const OVERDUE_TIMER_MS = 5_000;

/** Bytes of entries in one commit before it is cut into several. */
export const COMMIT_BYTES: number = 512 * 1024;
/**
 * Bytes of an encoded value that the log holds itself; larger ones go to the object store. Where the
 * server accepts messages of less than four times that, a fourth of what it accepts.
 */
export const PAYLOAD_INLINE_BYTES: number = 256 * 1024;
/** Bytes of one message of the object store, where the server accepts that much. */
export const PAYLOAD_CHUNK_BYTES: number = 512 * 1024;
/** What nobody refers to is removed from the object store after this long. */
export const PAYLOAD_ORPHAN_MS = 3_600_000;
/** How often the object store is looked through for that. */
export const PAYLOAD_SWEEP_MS = 600_000;
/** Bytes of the details of one heartbeat. */
export const HEARTBEAT_BYTES: number = 64 * 1024;
/** Children one run may start before it ends or continues. */
export const CHILDREN_PER_RUN = 100_000;
/** Waits of one run that are open at the same time; children awaited as one are one wait. */
export const WAITS_PER_RUN = 10_000;
/** Entries of a history from which on the log of the worker warns of it, once. */
export const LONG_HISTORY_ENTRIES = 10_000;
/** Entries of a history after which the code gets nothing new: whatever it asks for fails. */
export const HISTORY_ENTRIES = 50_000;
/** Entries beyond those after which code that goes on all the same is given up. */
export const HISTORY_RESERVE_ENTRIES = 1_000;
/** Consumed events that a run which continues remembers one by one; older ones are passed over. */
export const CARRIED_EVENTS = 10_000;
/** Suspended continuations a worker keeps in memory. */
export const WARM_RUNS = 1_000;

/** Runs of one client whose ends workers may tell it of; the end of an older one it reads. */
export const EXPECTED_ENDS = 100_000;

/** How long an events stream that nobody has set up otherwise keeps events. */
export const EVENTS_KEEP_MS: number = 30 * 24 * 3_600_000;

/** How long a run is kept after its end in a namespace that nobody has set up otherwise. */
export const KEEP_ENDED_MS: number = 7 * 24 * 3_600_000;
/** The shortest keep time: nobody is still at work with what ended so long ago (rule 26). */
export const SHORTEST_KEEP_ENDED_MS = 3_600_000;

/** Messages that cannot be read of which one process keeps notes for `contrail doctor`. */
export const UNDECODABLE_NOTES = 1_000;
/** Such a note disappears after this long. */
export const UNDECODABLE_NOTES_KEEP_MS: number = 7 * 24 * 3_600_000;

/** The engine's lead of a namespace lives this long without renewal. */
export const LEAD_TTL_MS = 6_000;
/** It is renewed this often. */
export const LEAD_RENEWAL_MS = 1_500;

/** Events the engine keeps in memory, so that a wait for one of them needs no read. */
export const RECENT_EVENTS = 20_000;
/** Bytes of their payloads. */
export const RECENT_EVENT_BYTES: number = 8 * 1024 * 1024;

/** A worker says so when its event loop did not turn for so long. */
export const BLOCKED_LOOP_MS = 1_000;

/** A suspect that its worker has outlived for so many claim timeouts makes room for the next. */
export const TRIAL_CLAIM_TIMEOUTS = 3;
/** Takeovers without another result between them, however long each worker lived. */
export const LOSSES_BEFORE_PAUSE = 25;

invariant(
  TAKEOVERS_BEFORE_SUSPICION < TAKEOVERS_BEFORE_PAUSE,
  "a run is suspected before it is paused",
);
invariant(
  LEAD_RENEWAL_MS * 3 < LEAD_TTL_MS,
  "three renewals of the engine's lead fit into its time to live",
);
invariant(
  LONG_HISTORY_ENTRIES < HISTORY_ENTRIES,
  "a long history is told of before it is too long",
);
invariant(
  SHORTEST_KEEP_ENDED_MS > LONGEST_CLAIM_TIMEOUT_MS,
  "a run is kept for longer than any token of it can be claimed",
);
invariant(
  BLOCKED_LOOP_MS <= SHORTEST_CLAIM_TIMEOUT_MS,
  "a blocked event loop is noticed before its claims are lost",
);
invariant(LEASE_SHARE_OF_CLAIM < 1, "a lease ends before the claim it stands for is taken over");
invariant(
  SHORT_SLEEP_MS > TIMER_LEAD_MS,
  "a sleep that is registered is longer than the timer's lead",
);
