/**
 * Which version of its task a token's run goes on with, and what becomes of the token when this worker
 * has none for it: other workers have it, or will have it. The token stays at the server (rule 5).
 */
import type { TokenAction } from "../shared/claim-decision.ts";
import type { Entry } from "../shared/entries.ts";
import type { LogSink } from "../shared/logger.ts";
import { versionsText } from "./task-versions.ts";
import type { Reading } from "./token-reader.ts";

/**
 * How soon such a token is delivered again, at first and at last. Where some workers have the version
 * and others have not, it comes to one that has after a few deliveries; where none has, for long.
 */
const FIRST_MS = 100;
const MOST_MS = 30_000;
/** It reaches the most after 23 deliveries and about two minutes. */
const FACTOR = 1.3;

/** With the version of the task that the run goes on with; nothing when this worker has none. */
export function versionedFor(action: TokenAction, read: Reading): Reading | undefined {
  const { task, state, cancel } = read;
  const definition = task.versions.forRun(state);
  if (definition === task.definition) return read;
  if (definition) return { ...read, task: { ...task, definition } };
  if (action === "register") return undefined; // its timers depend on the limits of the version
  // Whoever ends a run without asking its code needs none.
  const needsNoCode = cancel && (cancel.isTermination || state.unreadableAt !== undefined);
  const isTaken = action === "claim" || action === "take-over";
  return isTaken && !needsNoCode ? undefined : read;
}

/** What records that the run goes on with this version of its task, if that is new. */
export function pinOf({ state, task: { definition } }: Reading): Entry[] {
  const { version } = definition;
  if (version === undefined || version === state.version) return [];
  return [{ kind: "version-pinned", version }];
}

/** Tokens of runs that cannot go on at this worker. */
export class ForeignTokens {
  readonly #log: LogSink;
  /** Versions of tasks that were told of. */
  readonly #told: Set<string> = new Set();

  constructor(log: LogSink) {
    this.#log = log;
  }

  /** Gives the token back. Says so once for each version of a task. */
  leave({ address, task, token, state }: Reading): void {
    const version = state.version ?? "";
    const key = `${version} ${address.taskName}`;
    if (!this.#told.has(key)) {
      this.#told.add(key);
      this.#log.warn(
        `Runs of task "${address.taskName}" with ${versionsText([version])} cannot go on at this worker, which has ${versionsText(task.versions.versions)}. They are left to other workers.`,
        { ...address, version },
      );
    }
    token.nak(Math.min(MOST_MS, FIRST_MS * FACTOR ** (token.deliveryCount - 1)));
  }
}
