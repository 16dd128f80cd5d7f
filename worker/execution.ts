/**
 * One execution of a durable task's code: what it has asked for, and what it has received. It may
 * outlive a pass: suspended, it is kept in memory and goes on in a later pass of the same worker.
 *
 * X1. Between two results the microtasks are drained, so that the code asks in the same order in
 *     every replay.
 * X2. What the code catches or ignores never decides how a pass ends: an operation of a pass that is
 *     over stays pending for ever.
 */

import type { Entry, StoredCondition } from "../shared/entries.ts";
import {
  InvalidInputError,
  RunCanceledError,
  RunConflictError,
  RunFailedError,
  StepFailedError,
  TimeoutError,
  UndoFailedError,
} from "../shared/errors.ts";
import { fromFailure, toLimitExceeded } from "../shared/failures.ts";
import { hashId } from "../shared/ids.ts";
import type { StartedChildren } from "../shared/run-parts.ts";
import type { Delivery, RunState } from "../shared/run-state.ts";
import type { WaitResult } from "../shared/waits.ts";
import { type Divergence, ReplayCursor } from "./replay-cursor.ts";
import { Signal } from "./signal.ts";

/** Letters of the kinds of operations in their keys. */
export type OperationKind = "s" | "w" | "c" | "n";

/** What the code asked for. */
export interface Operation<Work = unknown> {
  readonly key: string;
  /** How many results the code had received when it asked. */
  readonly at: number;
  /** When what it had received last was recorded, in milliseconds since the epoch. */
  readonly askedAt: number;
  readonly work: Work;
  /** Where in the code it was asked for, as file and line, where that is known. */
  readonly source?: string;
  readonly match?: OperationMatch;
  /** Gives the code its result. */
  readonly deliver: (delivery: Delivery) => void;
}

/** How an operation is compared with what is recorded, beyond its key. */
export interface OperationMatch {
  /** Whether it is this wait, although its key is another: they differ in times only. */
  readonly isLike?: (recorded: StoredCondition) => boolean;
  /** How it differs from what is recorded under its very key. */
  readonly difference?: (recorded: StartedChildren) => string | undefined;
}

/** How the code ended. */
export type CodeEnd =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly thrown: unknown };

/** What the code has asked for and received. */
export class Execution<Work> {
  readonly state: RunState;
  readonly cursor: ReplayCursor;
  /** Raised whenever the code may have asked for something or has ended. */
  readonly changed: Signal = new Signal();
  readonly #operations: Map<string, Operation<Work>> = new Map();
  readonly #counts: Map<string, number> = new Map();
  #fresh: Operation<Work>[] = [];
  readonly #undos: { readonly name: string; readonly work: Work }[] = [];
  /** The undos run when the code is over; it asks for nothing any more. */
  #phase: "code" | "undo" = "code";
  #end: CodeEnd | undefined;
  #endedAt: number | undefined;
  #codeEnd: CodeEnd | undefined;
  #receivedAt: number | undefined;
  #different: Divergence | undefined;
  /** The code has once received all that was recorded, and has gone on. */
  wasLive = false;
  readonly #sourcePlace: (name: string) => string | undefined;
  readonly #changes: Map<string, boolean> = new Map();
  #noted: Extract<Entry, { kind: "change-noted" }>[] = [];

  /** @param sourcePlace Says where the code that calls right now asks for an operation. */
  constructor(
    state: RunState,
    sourcePlace: (name: string) => string | undefined = () => undefined,
  ) {
    this.state = state;
    this.cursor = new ReplayCursor(state);
    this.#sourcePlace = sourcePlace;
  }

  /** Calls the task's code. Called once. */
  begin(code: () => unknown): void {
    const phase = this.#phase;
    void (async () => {
      let end: CodeEnd;
      try {
        end = { ok: true, output: await code() };
      } catch (thrown) {
        end = { ok: false, thrown };
      }
      if (phase !== this.#phase) return; // it was given up meanwhile
      this.#end = end;
      this.#endedAt = this.cursor.received;
      this.changed.raise();
    })();
  }

  /** Whether the code has ended, or was given up, and its steps are being undone. */
  get isUndoing(): boolean {
    return this.#phase === "undo";
  }

  /** How the code ended, before its steps were undone. */
  get codeEnd(): CodeEnd | undefined {
    return this.#codeEnd;
  }

  /**
   * Undoes the steps that say how, in the reverse order of their commits. Code that has not ended is
   * given up: whatever it asks for from now on stays pending.
   */
  beginUndos(end: CodeEnd): void {
    this.#codeEnd = end;
    this.#phase = "undo";
    this.#end = undefined;
    this.#endedAt = undefined;
    this.#operations.clear();
    this.#fresh = [];
    const undos = this.#undos.splice(0).reverse();
    this.begin(async () => {
      const problems: string[] = [];
      for (const { name, work } of undos)
        await this.#ask("s", name, work, (value) => value).catch((error: Error) => {
          problems.push(error.message);
        });
      if (problems.length === 0) return;
      throw new UndoFailedError(
        `${problems.length} of ${undos.length} undos failed. ${problems.join(" ")}`,
        { cause: end.ok ? undefined : end.thrown },
      );
    });
  }

  /** Whether a step has said how it is undone. */
  get hasUndos(): boolean {
    return this.#undos.length > 0;
  }

  /** Notes how a step is undone whose result the code has just received. */
  addUndo(name: string, work: Work): void {
    if (!this.isUndoing) this.#undos.push({ name, work });
  }

  /** Whether the code has still to receive what is recorded. */
  get isReplaying(): boolean {
    return this.cursor.next !== undefined;
  }

  /** When what the code received last was recorded; nothing before the first. */
  get receivedAt(): number | undefined {
    return this.#receivedAt;
  }

  /** How the code ended, if it has. */
  get end(): CodeEnd | undefined {
    return this.#end;
  }

  /**
   * Notes that the code asks for an operation, and returns the promise of its result.
   * @param name What distinguishes it from others of its kind; a repeated name is numbered.
   */
  ask<T>(
    kind: OperationKind,
    name: string,
    work: Work,
    receive: (value: unknown) => T,
    match?: OperationMatch,
  ): Promise<T> {
    if (this.isUndoing) return new Promise(() => {}); // code that was given up
    return this.#ask(kind, name, work, receive, match);
  }

  /**
   * Whether the run takes part in a change of its code: the same for ever, once it was asked. A run
   * that had passed this place before the change takes no part in it.
   */
  hasChanged(name: string): boolean {
    const known = this.#changes.get(name);
    if (known !== undefined) return known;
    const { changes, passedAt } = this.state;
    const at = this.cursor.received;
    const isRecorded = changes.has(name);
    const answer = isRecorded || at > passedAt;
    this.#changes.set(name, answer);
    if (answer && !isRecorded) this.#noted.push({ kind: "change-noted", name, at });
    return answer;
  }

  /** Changes that the code was told of and that are not recorded. */
  takeNoted(): readonly Extract<Entry, { kind: "change-noted" }>[] {
    if (this.#noted.length === 0) return NONE;
    const noted = this.#noted;
    this.#noted = [];
    return noted;
  }

  #ask<T>(
    kind: OperationKind,
    name: string,
    work: Work,
    receive: (value: unknown) => T,
    match?: OperationMatch,
  ): Promise<T> {
    const short = keyName(name);
    const counted = `${kind} ${short}`;
    const count = this.#counts.get(counted) ?? 0;
    this.#counts.set(counted, count + 1);
    const key = `${kind}${count} ${short}`;
    const source = this.isUndoing ? undefined : this.#sourcePlace(counted);
    this.#compare(key, match);
    return new Promise<T>((resolve, reject) => {
      const deliver = ({ result }: Delivery): void => {
        if (result.ok) resolve(receive(result.value));
        else reject(toError(kind, name, result));
      };
      const operation: Operation<Work> = {
        key,
        at: this.cursor.received,
        askedAt: this.#receivedAt ?? this.state.startedAt,
        work,
        ...(source === undefined ? {} : { source }),
        ...(match === undefined ? {} : { match }),
        deliver,
      };
      this.#operations.set(key, operation);
      this.#fresh.push(operation);
      this.cursor.ask(key);
      this.changed.raise();
    });
  }

  /** What the code asked for under a recorded name that is something else, if it did. */
  get different(): Divergence | undefined {
    return this.#different;
  }

  /** Where the code asked for an operation whose result it has not received. */
  sourceOf(key: string): string | undefined {
    return this.#operations.get(key)?.source;
  }

  /** Whether the code has asked for the next recorded result. */
  canDeliver(): boolean {
    return this.cursor.canDeliver || (this.adoptWaits() && this.cursor.canDeliver);
  }

  /**
   * Takes waits that the code asks for as the recorded ones that differ from them in times only: what
   * was recorded holds. Returns whether there were any.
   */
  adoptWaits(): boolean {
    let hasAdopted = false;
    for (const { key, at, condition } of this.cursor.unaskedWaits())
      for (const operation of this.#operations.values()) {
        const isNew = operation.at === at && !this.cursor.isRecorded(operation.key);
        if (!isNew || !operation.match?.isLike?.(condition)) continue;
        this.#rename(operation, key);
        hasAdopted = true;
        break;
      }
    return hasAdopted;
  }

  /**
   * Where code that has received all that is recorded has parted from the history. Code that was kept
   * in memory while its run was suspended is not compared with what it did before that: it is the same.
   */
  divergence(): Divergence | undefined {
    const hasEnded = this.#end !== undefined;
    let divergence = this.cursor.divergence(hasEnded);
    if (divergence && this.adoptWaits()) divergence = this.cursor.divergence(hasEnded);
    return (
      divergence ?? (this.wasLive ? undefined : this.cursor.divergenceSinceSuspended(this.#endedAt))
    );
  }

  #rename(operation: Operation<Work>, key: string): void {
    const renamed = { ...operation, key };
    this.#operations.delete(operation.key);
    this.#operations.set(key, renamed);
    this.#fresh = this.#fresh.map((fresh) => (fresh === operation ? renamed : fresh));
    this.cursor.rename(operation.key, key);
    // The recorded name is taken: the next wait of that name has the next number.
    const space = key.indexOf(" ");
    const counted = key.slice(0, 1) + key.slice(space);
    const count = Number(key.slice(1, space)) + 1;
    this.#counts.set(counted, Math.max(count, this.#counts.get(counted) ?? 0));
  }

  #compare(key: string, match: OperationMatch | undefined): void {
    const recorded = this.state.children.get(key);
    const likelyCause = recorded && match?.difference?.(recorded);
    if (likelyCause !== undefined)
      this.#different ??= { kind: "different", recorded: key, asked: [key], likelyCause };
  }

  /**
   * Hands the next recorded result to the code.
   * @param fetched The result with what was stored apart, if there is such in it.
   */
  deliverNext(fetched?: WaitResult): void {
    const delivery = this.cursor.take();
    if (!delivery) return;
    this.#receivedAt = delivery.recordedAt;
    const { result } = delivery;
    this.#operations.get(delivery.key)?.deliver({ ...delivery, result: fetched ?? result });
    this.#operations.delete(delivery.key);
  }

  /** Gives back an operation that was taken and is left for a later pass. */
  putBack(operation: Operation<Work>): void {
    this.#fresh.push(operation);
  }

  /** Operations asked for, or put back, since the last call that the history does not hold. */
  takeUnrecorded(): readonly Operation<Work>[] {
    if (this.#fresh.length === 0) return NONE;
    const fresh = this.#fresh.filter(({ key }) => !this.cursor.isRecorded(key));
    this.#fresh = [];
    return fresh;
  }
}

const NONE: readonly never[] = [];

/** The longest name that a key holds as it is. Every entry of an operation repeats its key. */
const KEY_CHARACTERS = 256;
/** What is kept of a longer one, before a hash of all of it. */
const KEY_BEGINNING = 128;

/** A name as part of a key: not too long, and such that it is read back from the log the same. */
function keyName(name: string): string {
  const readable = name.replace(/\p{Surrogate}/gu, "\uFFFD");
  if (readable.length <= KEY_CHARACTERS) return readable;
  const beginning = readable.slice(0, KEY_BEGINNING).replace(/\p{Surrogate}$/u, "");
  return `${beginning}… ${hashId(readable)}`;
}

/** What the code catches when an operation failed: the recorded failure, or an error around it. */
function toError(kind: OperationKind, name: string, result: WaitResult & { ok: false }): Error {
  const { error: failure, status, isInterruption } = result;
  const cause = fromFailure(failure);
  if (isInterruption)
    return status === "canceled"
      ? new RunCanceledError(`Canceled during ${name}: ${failure.message}`, { cause })
      : new TimeoutError(`Out of time during ${name}: ${failure.message}`, { cause });
  const exceeded = toLimitExceeded(failure);
  if (exceeded && (kind !== "s" || exceeded.limitName === "history-length")) return exceeded;
  if (kind === "s")
    return new StepFailedError(`Step "${name}" failed: ${failure.message}`, { cause, step: name });
  if (failure.code === "run-conflict") return new RunConflictError(failure.message, { cause });
  if (failure.code === "invalid-input") return new InvalidInputError(failure.message, { cause });
  if (status === "canceled")
    return new RunCanceledError(`Canceled while waiting for ${name}: ${failure.message}`, {
      cause,
    });
  return new RunFailedError(`${name} failed: ${failure.message}`, { cause });
}
