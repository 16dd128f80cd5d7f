/** What an examination finds. */

/** What was looked at. */
export type Check =
  | "server"
  | "limits"
  | "sync"
  | "durability"
  | "mirror"
  | "namespace"
  | "stream"
  | "consumer"
  | "message"
  | "engine"
  | "worker"
  | "clock"
  | "run";

/**
 * `ok`; `note`: works, and is worth knowing; `unknown`: cannot be seen from here; `problem`: somebody
 * has to do something.
 */
export type Verdict = "ok" | "note" | "unknown" | "problem";

/** One finding. */
export interface Finding {
  readonly check: Check;
  readonly verdict: Verdict;
  /** What was found, what it means, and what to do, for people. */
  readonly message: string;
  /** The same for programs. The names of the fields are stable. */
  readonly details: Readonly<Record<string, unknown>>;
}
