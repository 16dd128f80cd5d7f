/**
 * One pass of a durable run, from its claim to its end or its next suspension. It reads as a loop:
 * hand the code what is recorded, then begin what it asks for, then wait, and when nothing but waits
 * is left, suspend.
 *
 * D1. Nothing new begins while something recorded has not been received, or was never asked for (P7).
 * D2. The slot is given back when the waiting commit is stored, the token is acknowledged when the
 *     waits are registered (rule 5).
 */
import { cancelEntry, canceledOutcome } from "../shared/early-ends.ts";
import type { Entry, Outcome } from "../shared/entries.ts";
import { InvariantError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { isApart } from "../shared/large-values.ts";
import { SHORT_SLEEP_MS } from "../shared/limits.ts";
import type { CancelRequest } from "../shared/messages.ts";
import type { Delivery } from "../shared/run-state.ts";
import { cancelChildren } from "./child-cancels.ts";
import type { Committer } from "./committer.ts";
import { pauseDiverged } from "./diverged.ts";
import type { Execution } from "./execution.ts";
import { endToUndo, overdueEntry } from "./interruptions.ts";
import { whyEventsAreLost } from "./lost-events.ts";
import { isHistoryFull } from "./operation-limits.ts";
import { PassOperations } from "./pass-operations.ts";
import type { PassRun } from "./pass-run.ts";
import { isSleepOnly, PassWatch } from "./pass-watch.ts";
import { registersHeader, whyNotRegistered } from "./registration.ts";
import type { Divergence } from "./replay-cursor.ts";
import { drainMicrotasks } from "./signal.ts";
import { suspend } from "./suspension.ts";
import type { Work } from "./work.ts";

/** How a pass ended. */
export type PassEnd =
  /** The run waits; its token is acknowledged. */
  | "suspended"
  | "ended"
  /** The run has continued with another input: its code begins anew, in the same claim. */
  | "continued"
  /** A person must look; the token is acknowledged. */
  | "paused"
  /** The run belongs to somebody else, or was given up: nothing may be said about the token. */
  | "lost";

/**
 * What a turn of the loop leads to: the next one, at once or after the next change, or whatever its
 * promise says.
 */
type Turn = "again" | "wait" | Promise<PassEnd | undefined>;

/** How long a recorded result waits for code that may still ask for it. */
const PATIENCE_MS = 1_000;
/** ... when the code has asked for something else instead. */
const SHORT_PATIENCE_MS = 50;

/** One pass. Made for a run that is claimed; used once. */
export class DurablePass {
  readonly #run: PassRun;
  readonly #execution: Execution<Work>;
  readonly #committer: Committer;
  readonly #operations: PassOperations;
  readonly #watch: PassWatch;
  readonly #startedAt: number;
  #wantsCommit = false;
  #isFlushing = false;
  #failure: unknown;
  #isLive = false;
  #isInterrupted = false;
  #isGivenUp = false;
  #isSuspending = false;

  constructor(run: PassRun, execution: Execution<Work>) {
    this.#run = run;
    this.#execution = execution;
    this.#committer = run.committer;
    this.#startedAt = run.services.clock.monotonic();
    const record = (entry: Entry): void => this.#record(entry);
    this.#operations = new PassOperations(run, execution, {
      add: (entry) => this.#committer.add(entry),
      record,
      flush: () => {
        this.#wantsCommit = true;
      },
      fail: (error) => this.#fail(error),
    });
    this.#watch = new PassWatch(run, execution, this.#operations, record);
    run.whenOver(() => execution.changed.raise());
    // What comes while the run suspends is left to whoever goes on: behind a waiting commit it would
    // be an entry that nobody is woken for.
    run.whenOutlived(() => {
      if (this.#isSuspending) return;
      this.#record({ kind: "outlived" });
      execution.changed.raise();
    });
    const noteCancel = (request: CancelRequest): void => {
      if (this.#isSuspending) return;
      if (!execution.state.interruption) this.#record(cancelEntry(request));
      execution.changed.raise();
    };
    run.whenCanceled(noteCancel);
    if (run.cancelRequest) noteCancel(run.cancelRequest); // it came before this
  }

  /** Goes through the pass. Never throws for what the code does. */
  async run(): Promise<PassEnd> {
    const { changed } = this.#execution;
    try {
      for (;;) {
        await drainMicrotasks();
        changed.clear();
        const turn = this.#turn();
        if (turn === "wait") await changed.wait();
        else if (turn !== "again") {
          const end = await turn;
          if (end) return end;
        }
      }
    } finally {
      this.#watch.close();
    }
  }

  /**
   * One turn of the loop. Most turns have nothing to wait for but the next change, so they make no
   * promise: three of them lie between two steps in a row.
   */
  #turn(): Turn {
    const execution = this.#execution;
    if (this.#failure) throw this.#failure;
    if (this.#isOver) return Promise.resolve("lost");
    if (this.#run.cancelRequest?.isTermination && !this.#isCommitting)
      return this.#terminate(this.#run.cancelRequest);
    this.#noteInterruption();
    this.#noteCodeEnd();
    if (execution.different) return this.#pause(execution.different);
    if (execution.cursor.next) return this.#deliver(execution.cursor.next);
    if (!this.#isLive) {
      const divergence = execution.divergence();
      if (divergence) return this.#pause(divergence);
      this.#isLive = true;
      execution.wasLive = true;
    }
    for (const entry of execution.takeNoted()) this.#committer.add(entry);
    this.#noteFullHistory();
    for (const operation of execution.takeUnrecorded()) this.#operations.begin(operation);
    const isContinuing = this.#operations.isContinuing && execution.end?.ok !== false;
    if (execution.end && !this.#mustUndoLater && !isContinuing) return this.#finish();
    this.#noteDue();
    if (this.#wantsCommit && !this.#isCommitting) this.#flush();
    if (isContinuing && !this.#isCommitting && !this.#operations.hasActiveOpening)
      return this.#continue();
    if (this.#operations.activeCount > 0 || this.#isCommitting || this.#watch.isAwaited) {
      this.#watch.arm();
      return "wait";
    }
    return this.#suspend();
  }

  /** Hands out the next recorded result. */
  #deliver(next: Delivery): Turn {
    if (!this.#execution.canDeliver()) return this.#awaitAsking();
    if (isApart(next)) return this.#deliverFetched(next);
    this.#execution.deliverNext();
    return "again";
  }

  /** A result with what was stored apart. */
  async #deliverFetched({ result }: Delivery): Promise<undefined> {
    if (!result.ok) return;
    const value = await this.#run.services.payloads.fetch(result.value);
    if (!this.#isOver) this.#execution.deliverNext({ ok: true, value });
  }

  /** The next turn hands out what the code asks for after all. */
  async #awaitAsking(): Promise<PassEnd | undefined> {
    const { cursor } = this.#execution;
    if (await this.#isAskedLate()) return undefined;
    return this.#pause(cursor.divergence(this.#execution.end !== undefined));
  }

  get #isOver(): boolean {
    return this.#committer.isLost || this.#run.isOver;
  }

  /** Also while a failpoint holds the commit back: what is to be stored must not get mixed up. */
  get #isCommitting(): boolean {
    return this.#isFlushing || this.#committer.isBusy;
  }

  /** A run that was interrupted stops what it is about, once in a pass. */
  #noteInterruption(): void {
    if (!this.#execution.state.interruption || this.#isInterrupted) return;
    this.#isInterrupted = true;
    this.#run.interrupt();
    this.#operations.interrupt();
  }

  /**
   * Begins the undos when the code has failed, or has used up its time for cleanup.
   */
  #noteCodeEnd(): void {
    const execution = this.#execution;
    const end = endToUndo(execution, this.#run.limits);
    // Children that the code started are recorded first, unless it is given up.
    if (!end || (end === execution.end && this.#operations.hasActiveOpening)) return;
    execution.beginUndos(end);
    this.#operations.giveUpSteps();
  }

  /** Code that goes on although its history is too long is given up, once. */
  #noteFullHistory(): void {
    const { state, end, isUndoing } = this.#execution;
    if (end || isUndoing || this.#isGivenUp || !isHistoryFull(state.entries)) return;
    this.#isGivenUp = true;
    this.#record({ kind: "cleanup-over" });
  }

  /** What has become due: sleeps are recorded, steps are tried again, limits are over. */
  #noteDue(): void {
    if (this.#wantsCommit || this.#isCommitting) return; // it may be on its way to the log
    const dueAt = this.#operations.nextDue();
    if (dueAt === undefined) return;
    const now = this.#run.serverClock.earliest();
    if (dueAt > now) return;
    this.#operations.beginDueRetries(now);
    for (const entry of this.#watch.dueSleeps(now)) this.#record(entry);
    const overdue = overdueEntry(this.#execution.state, this.#run.limits, now);
    if (overdue) this.#record(overdue);
  }

  /** Whether the code has failed and its undos wait for what is being opened. */
  get #mustUndoLater(): boolean {
    const { hasActiveOpening } = this.#operations;
    return hasActiveOpening && endToUndo(this.#execution, this.#run.limits) !== undefined;
  }

  // --- committing

  /** Adds a result and asks for a commit. */
  #record(entry: Entry): void {
    if (this.#isSuspending) return;
    this.#committer.add(entry);
    this.#wantsCommit = true;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#execution.changed.raise();
  }

  #flush(): void {
    this.#wantsCommit = false;
    this.#isFlushing = true;
    const done = (): void => {
      this.#isFlushing = false;
      this.#execution.changed.raise();
    };
    this.#commit().then(done, (error: unknown) => {
      this.#fail(error);
      done();
    });
  }

  async #commit(): Promise<boolean> {
    const { services } = this.#run;
    const before = services.failpoint("before-commit");
    if (before) await before;
    const sentAt = services.clock.monotonic();
    const isStored = (await this.#committer.commit()) === "stored";
    if (isStored) this.#run.noteProof(sentAt);
    this.#operations.noteStored();
    const after = services.failpoint("after-commit");
    if (after) await after;
    return isStored;
  }

  // --- ending the pass

  async #finish(): Promise<PassEnd> {
    const { end, cursor, state } = this.#execution;
    if (!end) throw new InvariantError("A run is finished only when its code has ended.");
    const divergence = cursor.divergence(true);
    if (divergence) return this.#pause(divergence);
    while (this.#operations.hasActiveOpening) {
      await this.#execution.changed.wait(); // children that the code started and did not await
      if (this.#failure) throw this.#failure;
      if (this.#isOver) return "lost";
    }
    const { codeEnd = end } = this.#execution;
    if (codeEnd.ok) return this.#endWith({ status: "completed", output: codeEnd.output });
    const { thrown } = end.ok ? codeEnd : end; // undos that failed are told with what they were for
    const status = state.interruption?.kind === "cancel" ? "canceled" : "failed";
    return this.#endWith({ status, error: toFailure(thrown) });
  }

  /** Nothing of what the code has under way is waited for; of what is recorded nothing is lost. */
  async #continue(): Promise<PassEnd> {
    const { services, parent, signal, version } = this.#run;
    const { pending: waits } = this.#execution.state;
    this.#isSuspending = true;
    await cancelChildren(services, parent, { children: new Map(), waits }, signal);
    const { continuation } = this.#operations;
    if (!continuation) throw new InvariantError("Only a run whose code asks for it is continued.");
    this.#operations.giveUpSteps();
    this.#committer.add(continuation);
    if (version !== undefined) this.#committer.add({ kind: "version-pinned", version });
    const before = services.failpoint("before-continue");
    if (before) await before;
    if (!(await this.#commit())) return "lost";
    const after = services.failpoint("after-continue");
    if (after) await after;
    return "continued";
  }

  /** Ends the run without asking its code. */
  async #terminate(request: CancelRequest): Promise<PassEnd> {
    const { services, parent, signal } = this.#run;
    this.#operations.giveUpSteps();
    await cancelChildren(services, parent, this.#execution.state, signal);
    return this.#endWith(canceledOutcome(request));
  }

  async #endWith(outcome: Outcome): Promise<PassEnd> {
    this.#record({ kind: "ended", outcome });
    if (!(await this.#commit())) return "lost";
    this.#run.acknowledge();
    // Steps that nobody waits for: stop.
    if (this.#operations.activeCount > 0 || this.#execution.state.interruption) this.#run.leave();
    return "ended";
  }

  /** The code waits for nothing but time, events and children: gives the slot back. */
  async #suspend(): Promise<PassEnd | undefined> {
    if (this.#operations.isEmpty) {
      this.#watch.arm();
      await this.#execution.changed.wait(); // the code awaits something of its own
      return undefined;
    }
    const dueAt = this.#operations.nextDue();
    const restMs = dueAt === undefined ? undefined : dueAt - this.#run.serverClock.earliest();
    const isShort = restMs !== undefined && restMs <= SHORT_SLEEP_MS;
    if (!isShort || !isSleepOnly(this.#operations.pendingWaits())) {
      const problem = await this.#whyNotWaiting();
      if (this.#wantsCommit || this.#isOver) return undefined; // something has come meanwhile
      this.#isSuspending = true;
      const registers = registersHeader(dueAt !== undefined, this.#operations.pendingWaits());
      const end = await suspend(this.#run, this.#startedAt, registers, problem);
      if (end === "suspended") this.#operations.putBackRetries();
      return end;
    }
    if (restMs > 0) await this.#parkFor(restMs);
    return undefined;
  }

  async #whyNotWaiting(): Promise<Extract<Entry, { kind: "paused" }> | undefined> {
    const { services, place, state, parent } = this.#run;
    const waits = [...this.#operations.pendingWaits()];
    const tooLarge = whyNotRegistered(services, place, state, waits);
    return tooLarge ?? whyEventsAreLost(services, parent, waits);
  }

  /** A short sleep: the token stays unacknowledged, the slot is free, a local timer wakes the run. */
  async #parkFor(restMs: number): Promise<void> {
    this.#run.release();
    const stop = this.#run.services.clock.after(restMs, () => this.#execution.changed.raise());
    await this.#execution.changed.wait();
    stop();
    if (!this.#isOver) await this.#run.reacquire();
  }

  #pause(divergence: Divergence | undefined): Promise<PassEnd> {
    if (!divergence) throw new InvariantError("A run is paused only when its code has diverged.");
    return pauseDiverged(this.#run, divergence, (key) => this.#execution.sourceOf(key));
  }

  /** Whether the code asks for the next recorded result after all, having awaited something else. */
  async #isAskedLate(): Promise<boolean> {
    const { cursor, changed, end } = this.#execution;
    const { services } = this.#run;
    const hasAskedElse = end !== undefined || cursor.hasAskedElse;
    let isOver = false;
    const stop = services.clock.after(hasAskedElse ? SHORT_PATIENCE_MS : PATIENCE_MS, () => {
      isOver = true;
      changed.raise();
    });
    try {
      while (!isOver && !this.#execution.canDeliver() && !this.#isOver && !this.#execution.end)
        await changed.wait();
    } finally {
      stop();
    }
    this.#noteCodeEnd();
    return this.#execution.canDeliver();
  }
}
