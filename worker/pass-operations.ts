/**
 * The operations that a pass has begun: steps at work, waits being opened, children being started,
 * and steps between two attempts. Turns each into entries of the history.
 */
import { encodedBytes } from "../shared/codec.ts";
import { continuedEntry } from "../shared/continuation.ts";
import type { Continued, Entry, Failure, StoredCondition } from "../shared/entries.ts";
import { ContrailError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { hasSleep, newWait, type RunState, type WaitState } from "../shared/run-state.ts";
import { leavesOf } from "../shared/waits.ts";
import { cancelChildren } from "./child-cancels.ts";
import { startChild } from "./children.ts";
import { storedForm } from "./commit-size.ts";
import type { Execution, Operation } from "./execution.ts";
import { openCondition } from "./open-condition.ts";
import { exceededLimit } from "./operation-limits.ts";
import type { PassRun } from "./pass-run.ts";
import { earliestDue } from "./registration.ts";
import { earlier, limitOf } from "./run-limits.ts";
import { tryStep } from "./steps.ts";
import type { ContinueWork, StartWork, StepWork, WaitWork, Work } from "./work.ts";

/** What the operations tell the pass. */
export interface OperationEvents {
  /** An entry for the next commit, which may wait. */
  readonly add: (entry: Entry) => void;
  /** An entry that asks for a commit. */
  readonly record: (entry: Entry) => void;
  /** Asks for a commit of what was added. */
  readonly flush: () => void;
  /** Something could not be done that is nobody's fault but ours or the server's. */
  readonly fail: (error: unknown) => void;
}

/** A step between two attempts. */
interface Retry {
  readonly operation: Operation<StepWork>;
  readonly retryAt: number;
}

/** Stands for the telling of children among the keys of operations. */
const CANCELS_KEY = "x children";

/** The begun operations of one pass. */
export class PassOperations {
  readonly #run: PassRun;
  readonly #execution: Execution<Work>;
  readonly #events: OperationEvents;
  /** Keys of operations whose work is under way. */
  readonly #active: Set<string> = new Set();
  /** Steps at work whose results are still wanted. */
  readonly #steps: Map<string, Operation<StepWork>> = new Map();
  readonly #retries: Map<string, Retry> = new Map();
  /** Attempts of steps that failed in this pass, which no commit may have taken along yet. */
  readonly #attempts: Map<string, number> = new Map();
  /** Waits that no commit has taken along yet. */
  readonly #unsaved: Map<string, WaitState> = new Map();
  #unsavedSleeps = 0;
  /** Waits that are being opened. */
  #opening = 0;
  /** The code wants to continue the run with another input. */
  #continuing: Operation<ContinueWork> | undefined;
  /** How many openings were recorded when the children were told to stop. */
  #told: number | undefined;

  constructor(run: PassRun, execution: Execution<Work>, events: OperationEvents) {
    this.#run = run;
    this.#execution = execution;
    this.#events = events;
  }

  /** How many operations are under way. */
  get activeCount(): number {
    return this.#active.size;
  }

  /** Whether a step is at work. */
  get hasActiveStep(): boolean {
    return this.#someActive((letter) => letter === "s");
  }

  /** Whether a wait is being opened, or children are being started or told to stop. */
  get hasActiveOpening(): boolean {
    return this.#someActive((letter) => letter !== "s");
  }

  /** Whether the code has asked to continue the run with another input. */
  get isContinuing(): boolean {
    return this.#continuing !== undefined;
  }

  /** What the run is to be continued with, if the code has asked for that. */
  get continuation(): Continued | undefined {
    return this.#continuing && this.#continued(this.#continuing.work);
  }

  /** The waits that are not settled, also those that no commit has taken along yet. */
  *pendingWaits(): Generator<WaitState> {
    yield* this.#execution.state.pending.values();
    yield* this.#unsaved.values();
  }

  /** Those of them that time may settle. */
  *sleepingWaits(): Generator<WaitState> {
    yield* this.#execution.state.sleeping.values();
    if (this.#unsavedSleeps > 0)
      for (const wait of this.#unsaved.values()) if (hasSleep(wait)) yield wait;
  }

  /** Whether nothing is open, neither a wait nor a step between two attempts. */
  get isEmpty(): boolean {
    return this.#execution.state.pending.size + this.#unsaved.size + this.#retries.size === 0;
  }

  /** A commit is stored: what it took along is in the state now. */
  noteStored(): void {
    const { state } = this.#execution;
    const { waits, steps } = state;
    // Children that were being started when the run was interrupted.
    if (this.#told !== undefined && this.#told !== openingsIn(state)) this.#cancelChildren();
    for (const [key, wait] of this.#unsaved)
      if (waits.has(key) || steps.has(key)) {
        // recorded as a wait, or as a failure to be one
        this.#unsaved.delete(key);
        if (hasSleep(wait)) this.#unsavedSleeps--;
      }
  }

  /** When the next sleep is due, or the next attempt, or a time limit is over. */
  nextDue(): number | undefined {
    const limit = limitOf(this.#execution.state, this.#run.limits);
    if (this.#execution.state.sleeping.size + this.#unsavedSleeps + this.#retries.size === 0)
      return limit;
    let next = earlier(earliestDue(this.sleepingWaits()), limit);
    for (const { retryAt } of this.#retries.values()) next = earlier(next, retryAt);
    return next;
  }

  /** Begins what the code asked for. A step whose next attempt is not due is kept for later. */
  begin(operation: Operation<Work>): void {
    const { key, at, work } = operation;
    if (this.#isInterrupted(operation)) {
      this.#events.record({ kind: "operation-interrupted", key, at });
      return;
    }
    const { retries, skips } = this.#execution.state;
    if (work.kind === "step" && skips.has(key)) {
      const given = { attempts: 0, durationMs: 0, value: skips.get(key) };
      this.#events.record({ kind: "step-completed", key, at, ...given });
      return;
    }
    const before = retries.get(key);
    if (work.kind === "step" && before)
      this.#retries.set(key, { operation: { ...operation, work }, retryAt: before.retryAt });
    else this.#startInLimits(operation);
  }

  #startInLimits(operation: Operation<Work>): void {
    const { key, at, work } = operation;
    const { pending, entries, interruption } = this.#execution.state;
    const waits = pending.size + this.#unsaved.size + this.#opening;
    const underWay = this.#active.size + this.#retries.size + this.#unsaved.size;
    const exceeded = exceededLimit(work, { entries: entries + underWay, waits });
    // What was done is undone all the same, and what is interrupted cleans up.
    if (exceeded && !this.#execution.isUndoing && !interruption)
      this.#events.record(failed(key, at, toFailure(exceeded)));
    else this.#start(key, this.#work(operation));
  }

  /**
   * An interrupted run gets nothing that it had asked for before, and waits for nothing any more; the
   * steps of its cleanup are executed, and its undos.
   */
  #isInterrupted({ at, work }: Operation<Work>): boolean {
    const { state, isUndoing } = this.#execution;
    const { interruption } = state;
    if (interruption === undefined || isUndoing) return false;
    const { position = Number.POSITIVE_INFINITY } = interruption;
    return at <= position || work.kind !== "step";
  }

  /**
   * The run was interrupted: the code gets nothing any more of what is under way, and its children
   * are told. Also what a pass does first that goes on with an interrupted run.
   */
  interrupt(): void {
    this.#cancelChildren();
    if (this.#unsaved.size > 0) this.#events.flush();
    const continuing = this.#continuing ? [this.#continuing] : [];
    this.#continuing = undefined;
    for (const operation of [...this.#steps.values(), ...this.#pausedSteps(), ...continuing])
      if (this.#isInterrupted(operation)) {
        const { key, at } = operation;
        this.#steps.delete(key);
        this.#retries.delete(key);
        this.#active.delete(key);
        this.#events.record({ kind: "operation-interrupted", key, at });
      }
  }

  /** The code is over: nobody waits for its steps any more. */
  giveUpSteps(): void {
    for (const key of this.#steps.keys()) this.#active.delete(key);
    this.#steps.clear();
    this.#retries.clear();
    this.#continuing = undefined;
  }

  #cancelChildren(): void {
    const { services, parent, signal } = this.#run;
    const { state } = this.#execution;
    this.#told = openingsIn(state);
    this.#start(CANCELS_KEY, cancelChildren(services, parent, state, signal));
  }

  *#pausedSteps(): Generator<Operation<StepWork>> {
    for (const { operation } of this.#retries.values()) yield operation;
  }

  /** Begins the attempts that are due. */
  beginDueRetries(now: number): void {
    for (const [key, { operation, retryAt }] of this.#retries) {
      if (retryAt > now) continue;
      this.#retries.delete(key);
      this.#start(key, this.#step(operation));
    }
  }

  /** Leaves the steps that wait for their next attempt to a later pass. */
  putBackRetries(): void {
    for (const { operation } of this.#retries.values()) this.#execution.putBack(operation);
    this.#retries.clear();
  }

  #someActive(test: (letter: string) => boolean): boolean {
    for (const key of this.#active) if (test(key.slice(0, 1))) return true;
    return false;
  }

  #start(key: string, work: Promise<void>): void {
    this.#active.add(key);
    const done = (): void => {
      this.#active.delete(key);
      this.#execution.changed.raise();
    };
    work.then(done, (error: unknown) => {
      this.#events.fail(error);
      done();
    });
  }

  #work(operation: Operation<Work>): Promise<void> {
    const { work } = operation;
    switch (work.kind) {
      case "step":
        return this.#step(operation as Operation<StepWork>);
      case "wait":
        return this.#openWait(operation as Operation<WaitWork>);
      case "start":
        return this.#startChildren(operation as Operation<StartWork>);
      case "continue":
        return this.#offerToContinue(operation as Operation<ContinueWork>);
    }
  }

  /** Whether the new input can be stored is known before anything is given up for it. */
  async #offerToContinue(operation: Operation<ContinueWork>): Promise<void> {
    const { key, at, work } = operation;
    try {
      encodedBytes(work.input, "input that the run continues with");
      this.#continuing = operation;
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error;
      this.#events.record(failed(key, at, toFailure(error)));
    }
  }

  #continued({ input, firstOrdinal }: ContinueWork): Continued {
    const { eventsAfter } = this.#run;
    return continuedEntry(input, this.#execution.state, { firstOrdinal, eventsAfter });
  }

  async #step(operation: Operation<StepWork>): Promise<void> {
    const run = this.#run;
    const { key } = operation;
    const { interruption, retries } = this.#execution.state;
    this.#steps.set(key, operation);
    const attempt = (this.#attempts.get(key) ?? retries.get(key)?.attempts ?? 0) + 1;
    // Steps of the cleanup after an interruption are not told to stop by it.
    const signal = (): AbortSignal => (interruption ? run.signal : run.userSignal);
    const record = (entry: Entry): void => {
      if (this.#steps.get(key) !== operation) return;
      this.#events.record(entry);
      this.#execution.changed.raise();
    };
    const entry = await tryStep(run.services, run, { operation, attempt, signal, record });
    if (this.#steps.get(key) !== operation) return; // interrupted: nobody waits for its result
    this.#steps.delete(key);
    if (entry?.kind === "attempt-failed") {
      this.#attempts.set(key, attempt);
      this.#events.record(entry); // at once: whoever takes over goes on counting, and people see it
      this.#retries.set(key, { operation, retryAt: entry.retryAt });
    } else if (entry) this.#events.record(entry);
    else run.leave(); // not surely ours: it goes on where its token is delivered next
  }

  /** Opens a wait: its children are started, its times are fixed, its events begin. */
  async #openWait({ key, at, work, source }: Operation<WaitWork>): Promise<void> {
    this.#opening++;
    const opened = await openCondition(this.#run, key, work).finally(() => {
      this.#opening--;
    });
    if ("refused" in opened) {
      this.#events.record(failed(key, at, opened.refused));
      return;
    }
    const { condition, settled } = opened;
    const place = source === undefined ? {} : { source };
    const entry = { kind: "wait-opened", key, at, condition, ...place } as const;
    if (isLarge(condition)) {
      // The code is told now: in the commit that suspends the run it would be told too late.
      const form = storedForm(entry, this.#run.services.link.maxPayload);
      if (form.kind === "step-failed") return this.#events.record(form);
    }
    const isSettled =
      this.#execution.state.interruption !== undefined ||
      (condition.kind === "allOf" && condition.of.length === 0);
    if (isSettled) this.#events.record(entry);
    else this.#events.add(entry);
    const wait = newWait(entry, 0);
    this.#unsaved.set(key, wait);
    if (hasSleep(wait)) this.#unsavedSleeps++;
    for (const { leaf, outcome } of settled)
      this.#events.record({ kind: "wait-settled", key, leaf, outcome });
  }

  async #startChildren({ key, at, work, source }: Operation<StartWork>): Promise<void> {
    const { services, parent, signal } = this.#run;
    const { task, inputs, firstOrdinal: first } = work;
    const runIds = inputs.map((_, i) => work.id ?? this.#run.childId(first + i));
    const callKey = this.#run.operationId(key);
    const refusals = await Promise.all(
      runIds.map((runId, i) =>
        startChild(services, parent, { task, runId, input: inputs[i], key: callKey }, signal),
      ),
    );
    const refusal = refusals.find((failure) => failure !== undefined);
    if (refusal) this.#events.record(failed(key, at, refusal));
    else
      this.#events.record({
        kind: "child-started",
        key,
        at,
        taskName: task.name,
        runIds,
        first,
        isLeft: work.isLeft,
        ...(source === undefined ? {} : { source }),
      });
  }
}

function openingsIn({ waits, children }: RunState): number {
  return waits.size + children.size;
}

/** A condition of this many leaves, or with a filter, is measured before it is opened. */
const LARGE_LEAVES = 256;

function isLarge(condition: StoredCondition): boolean {
  const leaves = leavesOf(condition);
  return leaves.length > LARGE_LEAVES || leaves.some((leaf) => "where" in leaf);
}

function failed(key: string, at: number, error: Failure): Entry {
  return { kind: "step-failed", key, at, attempts: 1, durationMs: 0, error };
}
