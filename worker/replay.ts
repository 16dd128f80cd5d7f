/**
 * Replays a recorded history against the code at hand, without a server: the code receives what is
 * recorded, no step is executed, nothing is written. Says whether a worker with this code could go on
 * with the run, or where the two part.
 */
import { type Clock, systemClock } from "../shared/clock.ts";
import { encode, encodedBytes } from "../shared/codec.ts";
import type { Entry, Outcome } from "../shared/entries.ts";
import type { History } from "../shared/history-file.ts";
import { silentLog } from "../shared/logger.ts";
import { evolve, initialState, type RunState } from "../shared/run-state.ts";
import { definitionOf, type TaskDefinition } from "../shared/task-definition.ts";
import type { AnyTask } from "../shared/task-reference.ts";
import { makeContext } from "./context.ts";
import { type CodeEnd, Execution } from "./execution.ts";
import { endToUndo } from "./interruptions.ts";
import type { Divergence } from "./replay-cursor.ts";
import { drainMicrotasks } from "./signal.ts";
import { sourcePlace } from "./source-places.ts";
import { byName } from "./task-versions.ts";
import type { Work } from "./work.ts";

/** Where a replay and its history part. */
export interface ReplayDivergence extends Divergence {
  /** The first entry of the history that the code does not follow, if there is one. */
  readonly entry?: {
    /** Its number in the history, from 1. */
    readonly number: number;
    readonly sequence: number;
    /** When it was recorded, in milliseconds since the epoch. */
    readonly at: number;
    readonly kind: string;
  };
}

/** What came of a replay. */
export type ReplayVerdict =
  /** The code asks for what is recorded, in every detail that a worker looks at. */
  | {
      readonly verdict: "same";
      /** The run has completed, and the code now returns something else, which is no divergence. */
      readonly isOutputOther: boolean;
    }
  | { readonly verdict: "diverged"; readonly divergence: ReplayDivergence }
  /** There is nothing to replay. */
  | { readonly verdict: "skipped"; readonly reason: string };

/** How to replay. */
export interface ReplayOptions {
  /** @defaultValue The system's. */
  readonly clock?: Clock;
}

/** How long a recorded result waits for code that awaits something of its own. */
const PATIENCE_MS = 1_000;
/** ... when the code has asked for something else instead. */
const SHORT_PATIENCE_MS = 50;
const THE_END = "the end";

/**
 * Replays a history against the task of its name: of several versions against the one that a worker
 * would take.
 * @throws {InvalidInputError} When one is no task, or two have one name and version.
 */
export async function replayHistory(
  tasks: AnyTask | readonly AnyTask[],
  history: History,
  { clock = systemClock }: ReplayOptions = {},
): Promise<ReplayVerdict> {
  const skipped = (reason: string): ReplayVerdict => ({ verdict: "skipped", reason });
  const { taskName } = history;
  const given = Array.isArray(tasks) ? (tasks as readonly AnyTask[]) : [tasks as AnyTask];
  const definitions = given.map((task) => definitionOf(task));
  const [versions] = byName(definitions.filter(({ name }) => name === taskName));
  if (!versions) return skipped(`There is no task "${taskName}".`);
  if (versions.newest.kind === "regular")
    return skipped("A regular task is not replayed: it begins anew.");
  const state = initialState(history.startSequence, history.startedAt);
  for (const commit of history.commits) evolve(state, commit);
  if (state.status === "queued")
    return skipped("No worker has begun the run: there is nothing yet.");
  const definition = versions.forRun(state);
  if (!definition)
    return skipped(
      `The run has version "${state.version ?? ""}" of its task; there is ${versions.versions.map((version) => `"${version}"`).join(", ")}, and none says that it is compatible.`,
    );
  const divergence = await new Replay(definition, history, state, clock).run();
  if ("likelyCause" in divergence) {
    const entry = findEntry(history, divergence.recorded ?? THE_END);
    return { verdict: "diverged", divergence: { ...divergence, ...(entry ? { entry } : {}) } };
  }
  return { verdict: "same", ...divergence };
}

class Replay {
  readonly #definition: TaskDefinition;
  readonly #state: RunState;
  readonly #clock: Clock;
  readonly #execution: Execution<Work>;

  constructor(definition: TaskDefinition, history: History, state: RunState, clock: Clock) {
    this.#definition = definition;
    this.#state = state;
    this.#clock = clock;
    this.#execution = new Execution<Work>(state, (name) => sourcePlace(definition, name));
    const signal = state.interruption ? AbortSignal.abort() : new AbortController().signal;
    const context = makeContext({
      runId: history.runId,
      startSequence: history.startSequence,
      definition,
      execution: this.#execution,
      log: silentLog,
      signal: () => signal,
      monotonic: () => clock.monotonic(),
      startedAt: state.beginning?.at ?? history.fork?.startedAt ?? history.startedAt,
      seed: history.fork?.seed,
    });
    const { input } = state.beginning ?? history;
    this.#execution.begin(() => definition.run(input, context));
  }

  async run(): Promise<Divergence | { readonly isOutputOther: boolean }> {
    const { cursor } = this.#execution;
    for (;;) {
      await this.#turn();
      if (this.#execution.different) return this.#execution.different;
      if (cursor.next) {
        const canDeliver = (): boolean => this.#execution.canDeliver();
        if (!canDeliver() && !(await this.#comes(canDeliver)))
          return cursor.divergence(this.#execution.end !== undefined) as Divergence;
        this.#execution.deliverNext();
      } else break;
    }
    return this.#compareEnds();
  }

  /** Lets the code go as far as it gets, and begins the undos when it is their time. */
  async #turn(): Promise<void> {
    await drainMicrotasks();
    const end = endToUndo(this.#execution, this.#definition);
    if (!end) return;
    this.#execution.beginUndos(end);
    await drainMicrotasks();
  }

  /** Everything that is recorded was received: compares what the code does then. */
  async #compareEnds(): Promise<Divergence | { readonly isOutputOther: boolean }> {
    const execution = this.#execution;
    const { outcome, interruption } = this.#state;
    const divergence = execution.divergence();
    if (divergence) return divergence;
    execution.wasLive = true;
    // Whoever was interrupted may have been ended without being asked.
    if (!outcome || interruption) return { isOutputOther: false };
    const fresh: string[] = [];
    const hasMoved = await this.#comes(() => {
      fresh.push(...execution.takeUnrecorded().map(({ key }) => key));
      return execution.end !== undefined || fresh.length > 0;
    });
    if (fresh.length > 0)
      return parted(fresh, "it asks for more than it did when this was recorded");
    if (!hasMoved) return parted([], "the code waits for something outside the run");
    return compareOutcomes(outcome, execution.codeEnd ?? (execution.end as CodeEnd));
  }

  /** Waits for code that awaits something of its own, as a worker does. */
  async #comes(isThere: () => boolean): Promise<boolean> {
    const execution = this.#execution;
    const hasAskedElse = execution.end !== undefined || execution.cursor.hasAskedElse;
    let isOver = false;
    const stop = this.#clock.after(hasAskedElse ? SHORT_PATIENCE_MS : PATIENCE_MS, () => {
      isOver = true;
      execution.changed.raise();
    });
    try {
      for (;;) {
        await this.#turn();
        if (isThere()) return true;
        if (isOver || execution.end) return false;
        await execution.changed.wait();
      }
    } finally {
      stop();
    }
  }
}

function parted(asked: readonly string[], likelyCause: string): Divergence {
  const kind = asked.length > 0 ? "added" : "different";
  return { kind, recorded: THE_END, asked, likelyCause };
}

function compareOutcomes(
  outcome: Outcome,
  end: CodeEnd,
): Divergence | { readonly isOutputOther: boolean } {
  if (outcome.status === "completed")
    return end.ok
      ? { isOutputOther: !isSameStored(outcome.output, end.output) }
      : parted([`${THE_END}, failed`], "the code fails where it came to its end");
  // What the code returned may have been impossible to store.
  if (end.ok && isStorable(end.output) && outcome.error.code !== "limit-exceeded")
    return parted([`${THE_END}, completed`], "the code comes to its end where it failed");
  return { isOutputOther: false };
}

function isSameStored(recorded: unknown, returned: unknown): boolean {
  if (!isStorable(returned)) return false;
  return Buffer.from(encode(recorded, "output")).equals(encode(returned, "output"));
}

function isStorable(value: unknown): boolean {
  try {
    return encodedBytes(value, "output") > 0;
  } catch {
    return false;
  }
}

/** The first entry of an operation, or the end. */
function findEntry(history: History, recorded: string): ReplayDivergence["entry"] {
  let number = 0;
  for (const { sequence, time, startSequence, entries } of history.commits) {
    if (startSequence !== history.startSequence) continue;
    for (const entry of entries) {
      number++;
      if (keyOf(entry) === recorded) return { number, sequence, at: time, kind: entry.kind };
    }
  }
  return undefined;
}

function keyOf(entry: Entry): string | undefined {
  if (entry.kind === "ended") return THE_END;
  return "key" in entry ? entry.key : undefined;
}
