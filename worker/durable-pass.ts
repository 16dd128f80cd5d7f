/**
 * One pass of a durable run, from its claim to its end or its next suspension. It reads as a loop:
 * hand the code what is recorded, then begin what it asks for, then wait, and when nothing but waits
 * is left, suspend.
 *
 * D1. Nothing new begins while something recorded has not been received, or was never asked for (P7).
 * D2. The slot is given back when the waiting commit is stored, the token is acknowledged when the
 *     waits are registered (rule 5).
 */
import type { CancelTimer } from "../shared/clock.ts";
import type { Entry } from "../shared/entries.ts";
import { InvariantError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { SHORT_SLEEP_MS } from "../shared/limits.ts";
import { newWait, type WaitState } from "../shared/run-state.ts";
import { startChild } from "./children.ts";
import type { Committer } from "./committer.ts";
import type { Execution, Operation } from "./execution.ts";
import { openCondition } from "./open-condition.ts";
import { dueSleeps, inOrder, lookAround } from "./outcomes.ts";
import type { PassRun } from "./pass-run.ts";
import { earliestDue, registerWaits } from "./registration.ts";
import type { Divergence } from "./replay-cursor.ts";
import { drainMicrotasks } from "./signal.ts";
import { runStep } from "./steps.ts";
import type { StartWork, StepWork, WaitWork, Work } from "./work.ts";

/** How a pass ended. */
export type PassEnd =
  /** The run waits; its token is acknowledged. */
  | "suspended"
  | "ended"
  /** A person must look; the token is acknowledged. */
  | "paused"
  /** The run belongs to somebody else, or was given up: nothing may be said about the token. */
  | "lost";

/** How long a recorded result waits for code that may still ask for it. */
const PATIENCE_MS = 1_000;
/** ... when the code has asked for something else instead. */
const SHORT_PATIENCE_MS = 50;
/** How often a pass that is at work looks for events and children itself, at the most. */
const WATCH_MS = 250;
/** It rests so many times as long as the look took. */
const WATCH_REST = 20;

/** One pass. Made for a run that is claimed; used once. */
export class DurablePass {
  readonly #run: PassRun;
  readonly #execution: Execution<Work>;
  readonly #committer: Committer;
  /** Keys of operations whose work is under way. */
  readonly #active: Set<string> = new Set();
  readonly #startedAt: number;
  #wantsCommit = false;
  #failure: unknown;
  #isLive = false;
  /** Waits that no commit has taken along yet. */
  readonly #unsaved: Map<string, WaitState> = new Map();
  #mustRetime = true;
  #stopTimer: CancelTimer | undefined;
  #stopWatch: CancelTimer | undefined;
  #watchMs = WATCH_MS;

  constructor(run: PassRun, execution: Execution<Work>) {
    this.#run = run;
    this.#execution = execution;
    this.#committer = run.committer;
    this.#startedAt = run.services.clock.monotonic();
    run.signal.addEventListener("abort", () => execution.changed.raise(), { once: true });
    run.whenCanceled(({ by, reason }) => {
      if (!execution.state.cancel) this.#record({ kind: "cancel-requested", by, reason });
      execution.changed.raise();
    });
  }

  /** Goes through the pass. Never throws for what the code does. */
  async run(): Promise<PassEnd> {
    try {
      for (;;) {
        const end = await this.#turn();
        if (end) return end;
      }
    } finally {
      this.#stopTimer?.();
      this.#stopWatch?.();
    }
  }

  /** One turn of the loop. Returns how the pass ended, if it did. */
  async #turn(): Promise<PassEnd | undefined> {
    const execution = this.#execution;
    await drainMicrotasks();
    if (this.#failure) throw this.#failure;
    if (this.#isOver) return "lost";
    if (execution.cursor.next) {
      if (!execution.cursor.canDeliver && !(await this.#isAskedLate())) return this.#pause();
      execution.deliverNext();
      return undefined;
    }
    if (!this.#isLive && !execution.end) {
      if (execution.cursor.divergence(false)) return this.#pause();
      this.#isLive = true;
    }
    for (const operation of execution.takeUnrecorded()) this.#begin(operation);
    if (execution.end) return this.#finish();
    if (this.#wantsCommit && !this.#committer.isBusy) this.#flush();
    if (this.#active.size > 0 || this.#committer.isBusy) {
      this.#armTimer();
      this.#armWatch();
      await execution.changed.wait();
      return undefined;
    }
    return this.#suspend();
  }

  get #isOver(): boolean {
    return this.#committer.isLost || this.#run.signal.aborted;
  }

  // --- beginning what the code asks for

  #begin(operation: Operation<Work>): void {
    this.#active.add(operation.key);
    void this.#work(operation)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#active.delete(operation.key);
        this.#execution.changed.raise();
      });
  }

  async #work(operation: Operation<Work>): Promise<void> {
    const { work } = operation;
    switch (work.kind) {
      case "step":
        return this.#step({ ...operation, work });
      case "wait":
        return this.#open({ ...operation, work });
      case "start":
        return this.#start({ ...operation, work });
    }
  }

  async #step(operation: Operation<StepWork>): Promise<void> {
    const { services, step, signal } = this.#run;
    // Steps of the cleanup after a cancellation are not told to stop by it.
    const run = this.#execution.state.cancel ? { ...step, userSignal: signal } : step;
    const entry = await runStep(services, run, operation);
    if (entry) this.#record(entry);
  }

  /** Opens a wait: its children are started, its times are fixed, its events begin. */
  async #open({ key, at, work }: Operation<WaitWork>): Promise<void> {
    const opened = await openCondition(this.#run, key, work);
    if ("refused" in opened) {
      this.#record(failed(key, at, opened.refused));
      return;
    }
    const entry = { kind: "wait-opened", key, at, condition: opened.condition } as const;
    this.#committer.add(entry);
    this.#unsaved.set(key, newWait(entry, 0));
    this.#mustRetime = true;
    for (const { leaf, outcome } of opened.settled)
      this.#record({ kind: "wait-settled", key, leaf, outcome });
    const { condition } = opened;
    if (condition.kind === "allOf" && condition.of.length === 0) this.#wantsCommit = true;
    if (this.#execution.state.cancel) this.#wantsCommit = true; // it is settled by being opened
  }

  async #start({ key, at, work }: Operation<StartWork>): Promise<void> {
    const { services, parent, signal } = this.#run;
    const runIds = work.inputs.map((_, i) => work.id ?? this.#run.childId(work.firstOrdinal + i));
    const refusals = await Promise.all(
      runIds.map((runId, i) =>
        startChild(
          services,
          parent,
          { task: work.task, runId, input: work.inputs[i], key },
          signal,
        ),
      ),
    );
    const refusal = refusals.find((failure) => failure !== undefined);
    if (refusal) this.#record(failed(key, at, refusal));
    else {
      const { name: taskName } = work.task;
      this.#record({ kind: "child-started", key, at, taskName, runIds, first: work.firstOrdinal });
    }
  }

  // --- committing

  /** Adds a result and asks for a commit. */
  #record(entry: Entry): void {
    this.#committer.add(entry);
    this.#wantsCommit = true;
  }

  #flush(): void {
    this.#wantsCommit = false;
    void this.#commit()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#execution.changed.raise());
  }

  async #commit(): Promise<boolean> {
    const { services } = this.#run;
    const before = services.failpoint("before-commit");
    if (before) await before;
    const sentAt = services.clock.monotonic();
    const isStored = (await this.#committer.commit()) === "stored";
    if (isStored) this.#run.noteProof(sentAt);
    this.#mustRetime = true;
    const after = services.failpoint("after-commit");
    if (after) await after;
    return isStored;
  }

  /** The waits that are not settled, also those that no commit has taken along yet. */
  #pendingWaits(): WaitState[] {
    const { pending, waits, steps } = this.#execution.state;
    for (const key of this.#unsaved.keys())
      if (waits.has(key) || steps.has(key)) this.#unsaved.delete(key); // recorded, or refused
    return [...pending.values(), ...this.#unsaved.values()];
  }

  /** While other branches are at work, sleeps are timed here. */
  #armTimer(): void {
    if (!this.#mustRetime || this.#committer.isBusy) return;
    this.#mustRetime = false;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const dueAt = earliestDue(this.#pendingWaits());
    if (dueAt === undefined) return;
    const { services, serverClock } = this.#run;
    this.#stopTimer = services.clock.after(dueAt - serverClock.earliest(), () => {
      this.#mustRetime = true;
      if (!this.#isOver) this.#recordDueSleeps();
      this.#execution.changed.raise();
    });
  }

  /**
   * While a step is at work, the engine does not know what else the run waits for: the pass looks
   * itself, so that an event can win against a long step.
   */
  #armWatch(): void {
    const hasStep = [...this.#active].some((key) => key.startsWith("s"));
    if (this.#stopWatch || !hasStep || this.#committer.isBusy) return;
    if (!this.#pendingWaits().some((wait) => !isSleepOnly(wait))) return;
    const { clock } = this.#run.services;
    this.#stopWatch = clock.after(this.#watchMs, () => {
      const startedAt = clock.monotonic();
      void this.#look()
        .catch((error: unknown) => {
          this.#run.services.log.warn("A look for events and children failed.", {
            ...this.#run.address,
            error,
          });
        })
        .finally(() => {
          this.#watchMs = Math.max(WATCH_MS, (clock.monotonic() - startedAt) * WATCH_REST);
          this.#stopWatch = undefined;
          this.#execution.changed.raise();
        });
    });
  }

  async #look(): Promise<void> {
    const { services, parent } = this.#run;
    const { state } = this.#execution;
    const tail = state.tail;
    const found = await lookAround(services, parent, this.#pendingWaits(), state.consumedEvents);
    if (this.#isOver || this.#committer.isBusy || state.tail !== tail) return; // decided anew later
    for (const entry of inOrder(found.flat())) this.#record(entry);
  }

  #recordDueSleeps(): void {
    const due = dueSleeps(this.#pendingWaits(), this.#run.serverClock.earliest());
    for (const { key, leaf, outcome } of due)
      this.#record({ kind: "wait-settled", key, leaf, outcome });
  }

  // --- ending the pass

  async #finish(): Promise<PassEnd> {
    const { end, cursor, state } = this.#execution;
    if (!end) throw new InvariantError("A run is finished only when its code has ended.");
    if (cursor.divergence(true)) return this.#pause();
    while ([...this.#active].some((key) => !key.startsWith("s"))) {
      await this.#execution.changed.wait(); // children that the code started and did not await
      if (this.#failure) throw this.#failure;
      if (this.#isOver) return "lost";
    }
    if (end.ok)
      this.#record({ kind: "ended", outcome: { status: "completed", output: end.output } });
    else {
      const status = state.cancel ? "canceled" : "failed";
      this.#record({ kind: "ended", outcome: { status, error: toFailure(end.thrown) } });
    }
    if (!(await this.#commit())) return "lost";
    this.#run.acknowledge();
    if (this.#active.size > 0) this.#run.leave(); // steps that nobody waits for are told to stop
    return "ended";
  }

  /** The code waits for nothing but time, events and children: gives the slot back. */
  async #suspend(): Promise<PassEnd | undefined> {
    const waits = this.#pendingWaits();
    if (waits.length === 0) {
      await this.#execution.changed.wait(); // the code awaits something of its own
      return undefined;
    }
    const dueAt = earliestDue(waits);
    const restMs = dueAt === undefined ? undefined : dueAt - this.#run.serverClock.earliest();
    if (restMs !== undefined && restMs <= 0) {
      this.#recordDueSleeps();
      return undefined;
    }
    if (restMs !== undefined && restMs <= SHORT_SLEEP_MS && waits.every(isSleepOnly)) {
      await this.#parkFor(restMs);
      return undefined;
    }
    return this.#store();
  }

  /** A short sleep: the token stays unacknowledged, the slot is free, a local timer wakes the run. */
  async #parkFor(restMs: number): Promise<void> {
    this.#run.release();
    const stop = this.#run.services.clock.after(restMs, () => this.#execution.changed.raise());
    await this.#execution.changed.wait();
    stop();
    if (!this.#isOver) await this.#run.reacquire();
  }

  async #store(): Promise<PassEnd> {
    const { services, place, signal } = this.#run;
    this.#committer.add({ kind: "waiting" });
    if (!(await this.#commit())) return "lost";
    this.#run.release();
    const passMs = Math.round(services.clock.monotonic() - this.#startedAt);
    const { state } = this.#execution;
    const point = services.failpoint("before-registration");
    if (point) await point;
    if (!(await registerWaits(services, place, state, { passMs, signal }))) return "lost";
    const last = services.failpoint("before-ack");
    if (last) await last;
    this.#run.acknowledge();
    return "suspended";
  }

  async #pause(): Promise<PassEnd> {
    const { cursor, end } = this.#execution;
    const divergence = cursor.divergence(end !== undefined) as Divergence;
    const { runId, taskName } = this.#run.address;
    const asked = divergence.asked.map((key) => `"${key}"`).join(", ") || "nothing more";
    const reason = `Run "${runId}" of task "${taskName}" replayed differently: the history has "${divergence.recorded}", the code asked for ${asked}.`;
    this.#run.services.log.error(reason, { runId, taskName, likelyCause: divergence.likelyCause });
    this.#record({ kind: "paused", reason, details: { code: "replay-diverged", ...divergence } });
    if (!(await this.#commit())) return "lost";
    this.#run.release();
    this.#run.acknowledge();
    return "paused";
  }

  /** Whether the code asks for the next recorded result after all, having awaited something else. */
  async #isAskedLate(): Promise<boolean> {
    const { cursor, changed, end } = this.#execution;
    const { services } = this.#run;
    const hasAskedElse = end !== undefined || (cursor.divergence(false)?.asked.length ?? 0) > 0;
    let isOver = false;
    const stop = services.clock.after(hasAskedElse ? SHORT_PATIENCE_MS : PATIENCE_MS, () => {
      isOver = true;
      changed.raise();
    });
    try {
      while (!isOver && !cursor.canDeliver && !this.#isOver && !this.#execution.end)
        await changed.wait();
    } finally {
      stop();
    }
    return cursor.canDeliver;
  }
}

function failed(key: string, at: number, error: ReturnType<typeof toFailure>): Entry {
  return { kind: "step-failed", key, at, attempts: 1, durationMs: 0, error };
}

function isSleepOnly(wait: WaitState): boolean {
  return wait.leaves.every((condition) => condition.kind === "sleep");
}
