/**
 * What a pass watches itself while it is at work: due times, and events and ends of children, which
 * the engine does not know as long as the run has not suspended.
 *
 * W1. A time that is over settles a wait for something else, too, only after a look that began behind
 *     it: what happened before comes first (rule 22).
 */
import type { CancelTimer } from "../shared/clock.ts";
import type { Entry } from "../shared/entries.ts";
import type { WaitState } from "../shared/run-state.ts";
import type { Committer } from "./committer.ts";
import type { Execution } from "./execution.ts";
import type { Happened } from "./happened.ts";
import { dueSleeps, inOrder, lookAround } from "./outcomes.ts";
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
  #isLooking = false;
  #isNeeded = false;
  /** Of the last look that was not in vain: by the server's clock when it began, and at which waits. */
  #looked: { readonly at: number; readonly keys: ReadonlySet<string> } = { at: 0, keys: new Set() };

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

  /** Whether a time is over that is recorded only after the look that is under way. */
  get isAwaited(): boolean {
    return this.#isNeeded;
  }

  /** The sleeps that are due and may be recorded. Begins a look for those that have to wait for one (W1). */
  dueSleeps(now: number): Entry[] {
    const found: Happened[] = [];
    for (const wait of this.#operations.sleepingWaits()) {
      const due = dueSleeps([wait], now);
      if (due.length === 0) continue;
      if (isSleepOnly([wait]) || this.#hasLookedAt(wait, due)) found.push(...due);
      else this.#isNeeded = true;
    }
    if (this.#isNeeded) this.#beginLook();
    return inOrder(found);
  }

  #hasLookedAt({ key }: WaitState, due: readonly Happened[]): boolean {
    const { at, keys } = this.#looked;
    return keys.has(key) && due.every(({ time }) => time <= at);
  }

  /** Ends all timers. */
  close(): void {
    this.#stopTimer?.();
    this.#stopLook?.();
  }

  #armTimer(): void {
    const nextDue = this.#isNeeded ? undefined : this.#operations.nextDue();
    const dueAt = nextDue ?? Number.POSITIVE_INFINITY;
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
    if (this.#stopLook || this.#isLooking || !this.#operations.hasActiveStep) return;
    if (isSleepOnly(this.#operations.pendingWaits())) return;
    this.#stopLook = this.#run.services.clock.after(this.#lookMs, () => this.#beginLook());
  }

  #beginLook(): void {
    this.#stopLook?.();
    this.#stopLook = undefined;
    if (this.#isLooking) return; // whoever needs another one asks again
    this.#isLooking = true;
    const { clock, log } = this.#run.services;
    const startedAt = clock.monotonic();
    const end = (): void => {
      this.#isLooking = false;
      this.#isNeeded = false; // asks again
      this.#execution.changed.raise();
    };
    this.#look().then(
      () => {
        this.#lookMs = Math.max(LOOK_MS, (clock.monotonic() - startedAt) * LOOK_REST);
        end();
      },
      (error: unknown) => {
        log.warn("A look for events and children failed.", { ...this.#run.address, error });
        this.#stopLook = clock.after(LOOK_MS, end);
      },
    );
  }

  async #look(): Promise<void> {
    const { services, parent, serverClock } = this.#run;
    const { state } = this.#execution;
    const { tail } = state;
    const at = serverClock.earliest();
    const waits = [...this.#operations.pendingWaits()];
    const found = await lookAround(services, parent, waits, state.consumedEvents);
    if (this.#run.isOver || this.#committer.isBusy || state.tail !== tail) return; // looks again
    this.#looked = { at, keys: new Set(waits.map(({ key }) => key)) };
    for (const entry of inOrder(found.flat())) this.#record(entry);
  }
}

/** Whether these waits need nothing but a clock. */
export function isSleepOnly(waits: Iterable<WaitState>): boolean {
  for (const { leaves } of waits)
    if (leaves.some((condition) => condition.kind !== "sleep")) return false;
  return true;
}
