/**
 * What a pass watches itself while it is at work: due times, and events and ends of children, which
 * the engine does not know as long as the run has not suspended.
 */
import type { CancelTimer } from "../shared/clock.ts";
import type { Entry } from "../shared/entries.ts";
import type { WaitState } from "../shared/run-state.ts";
import type { Committer } from "./committer.ts";
import type { Execution } from "./execution.ts";
import { inOrder, lookAround } from "./outcomes.ts";
import type { PassOperations } from "./pass-operations.ts";
import type { PassRun } from "./pass-run.ts";
import type { Work } from "./work.ts";

/** How often a pass that is at work looks for events and children itself, at the most. */
const LOOK_MS = 250;
/** It rests so many times as long as the look took. */
const LOOK_REST = 20;

/** The timers of one pass. */
export class PassWatch {
  readonly #run: PassRun;
  readonly #execution: Execution<Work>;
  readonly #operations: PassOperations;
  readonly #committer: Committer;
  readonly #record: (entry: Entry) => void;
  #stopTimer: CancelTimer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopLook: CancelTimer | undefined;
  #lookMs = LOOK_MS;

  constructor(
    run: PassRun,
    execution: Execution<Work>,
    operations: PassOperations,
    record: (entry: Entry) => void,
  ) {
    this.#run = run;
    this.#execution = execution;
    this.#operations = operations;
    this.#committer = run.committer;
    this.#record = record;
  }

  /** Sees to it that the pass is woken when the next time is due or something may have happened. */
  arm(): void {
    if (this.#committer.isBusy) return; // it arms again when the commit is stored
    this.#armTimer();
    this.#armLook();
  }

  /** Ends all timers. */
  close(): void {
    this.#stopTimer?.();
    this.#stopLook?.();
  }

  #armTimer(): void {
    const dueAt = this.#operations.nextDue() ?? Number.POSITIVE_INFINITY;
    if (dueAt === this.#timerAt) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#timerAt = dueAt;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const { services, serverClock } = this.#run;
    this.#stopTimer = services.clock.after(dueAt - serverClock.earliest(), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#execution.changed.raise();
    });
  }

  #armLook(): void {
    if (this.#stopLook || !this.#operations.hasActiveStep) return;
    if (isSleepOnly(this.#operations.pendingWaits())) return;
    const { clock, log } = this.#run.services;
    this.#stopLook = clock.after(this.#lookMs, () => {
      const startedAt = clock.monotonic();
      void this.#look()
        .catch((error: unknown) => {
          log.warn("A look for events and children failed.", { ...this.#run.address, error });
        })
        .finally(() => {
          this.#lookMs = Math.max(LOOK_MS, (clock.monotonic() - startedAt) * LOOK_REST);
          this.#stopLook = undefined;
          this.#execution.changed.raise();
        });
    });
  }

  async #look(): Promise<void> {
    const { services, parent } = this.#run;
    const { state } = this.#execution;
    const { tail } = state;
    const waits = [...this.#operations.pendingWaits()];
    const found = await lookAround(services, parent, waits, state.consumedEvents);
    if (this.#run.isOver || this.#committer.isBusy || state.tail !== tail) return; // looks again
    for (const entry of inOrder(found.flat())) this.#record(entry);
  }
}

/** Whether these waits need nothing but a clock. */
export function isSleepOnly(waits: Iterable<WaitState>): boolean {
  for (const { leaves } of waits)
    if (leaves.some((condition) => condition.kind !== "sleep")) return false;
  return true;
}
