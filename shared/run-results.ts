/**
 * Waits for runs to end: by the live feed, and by reading, because the feed may lose messages.
 */
import type { CancelTimer } from "./clock.ts";
import { decodeCommit, type Outcome } from "./entries.ts";
import {
  ContrailError,
  RunCanceledError,
  RunFailedError,
  RunNotFoundError,
  UnavailableError,
  UndecodableError,
} from "./errors.ts";
import { fromFailure } from "./failures.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { headersOf } from "./jetstream/headers.ts";
import type { StoredMessage } from "./jetstream/reader.ts";
import { Sweep } from "./jetstream/sweep.ts";
import { decodeReady } from "./messages.ts";
import { storedStart } from "./run-presence.ts";
import { HEADERS, type Names, type RunAddress, STATUS_HEADER } from "./subjects.ts";

/** The pauses between two looks at the log, while the live feed says nothing. */
const FIRST_LOOK_MS = 2_000;
const LONGEST_LOOK_MS = 30_000;
/**
 * A start that was said to be stored is gone only when readings say so for this long: a leader that was
 * deposed without knowing it answers as of before, and steps down after 10 s without its followers.
 */
const GONE_MS = 20_000;
const END_STATUSES = new Set(["completed", "failed", "canceled"]);

/** So long a hint from the worker is waited for before the log is looked at. */
const HINT_MS = 1_000;
const SWEEP_INTERVAL_MS = 100;

/** How to wait for an end. */
export interface EndOptions {
  readonly signal?: AbortSignal | undefined;
  /** May resolve with the end; may stay pending. */
  readonly hint?: Hint | undefined;
  /** Sequence of an end that holds no more, because the run was reopened. */
  readonly after?: number;
  /** The client was told that the start is stored. Default false. */
  readonly isStored?: boolean;
}

/** What may come before the log is looked at. */
export interface Hint {
  readonly end: Promise<Outcome>;
  /** Those who wait for one over this connection. */
  readonly patience: HintPatience;
}

/** Those who wait for a hint: one timer and one listener for all of them. */
export class HintPatience {
  readonly #clock: NatsLink["clock"];
  /** In the order in which their patience ends. */
  readonly #waits: Map<EndWait, number> = new Map();
  readonly #sweep: Sweep;

  constructor(link: Pick<NatsLink, "clock" | "onClose">) {
    this.#clock = link.clock;
    this.#sweep = new Sweep(link.clock, SWEEP_INTERVAL_MS, (now) => this.#expire(now));
    link.onClose(() => {
      this.#sweep.stop();
      for (const wait of [...this.#waits.keys()]) wait.noteClosed();
    });
  }

  /** @internal */
  add(wait: EndWait): void {
    this.#waits.set(wait, this.#clock.monotonic() + HINT_MS);
    this.#sweep.wake();
  }

  /** @internal */
  delete(wait: EndWait): void {
    this.#waits.delete(wait);
  }

  #expire(now: number): boolean {
    for (const [wait, endsAt] of this.#waits) {
      if (endsAt > now) return true;
      this.#waits.delete(wait);
      wait.begin();
    }
    return false;
  }
}

/**
 * Resolves with the outcome of a run when it has ended.
 * @throws {RunNotFoundError} When there is no such run, or it is purged while this waits.
 * @throws {UnavailableError} When the client is closed while this waits.
 */
export function waitForEnd(
  link: NatsLink,
  names: Names,
  run: RunAddress,
  { signal, hint, after = 0, isStored = false }: EndOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const wait = new EndWait(link, names, { run, after, isStored }, (end) => {
      signal?.removeEventListener("abort", abort);
      if (end instanceof Error) reject(end);
      else resolve(end);
    });
    const abort = (): void => wait.finish(signal?.reason as Error);
    if (signal?.aborted) abort();
    else {
      signal?.addEventListener("abort", abort, { once: true });
      if (hint) wait.beginWith(hint);
      else wait.begin();
    }
  });
}

class EndWait {
  readonly #link: NatsLink;
  readonly #names: Names;
  readonly #run: RunAddress;
  readonly #after: number;
  readonly #isStored: boolean;
  /** When a reading first said that there is no such run, and none has said otherwise since. */
  #goneSince: number | undefined;
  readonly #done: (end: Outcome | Error) => void;
  #isOver = false;
  /** Sequence of the run's start, as far as it was read: the commits of another are not the run's. */
  #startSequence: number | undefined;
  #stop: readonly (() => void)[] | undefined;
  #stopPause: CancelTimer | undefined;
  #patience: HintPatience | undefined;
  #pauseMs = FIRST_LOOK_MS;

  constructor(
    link: NatsLink,
    names: Names,
    asked: { readonly run: RunAddress; readonly after: number; readonly isStored: boolean },
    done: (end: Outcome | Error) => void,
  ) {
    this.#link = link;
    this.#names = names;
    this.#run = asked.run;
    this.#after = asked.after;
    this.#isStored = asked.isStored;
    this.#done = done;
  }

  /** Waits for the hint alone first. */
  beginWith({ end, patience }: Hint): void {
    const { nc } = this.#link;
    if (nc.isClosed() || nc.isDraining()) return this.noteClosed();
    this.#patience = patience;
    patience.add(this);
    void end.then((outcome) => this.finish(outcome));
  }

  begin(): void {
    const { nc } = this.#link;
    if (nc.isClosed() || nc.isDraining()) return this.noteClosed();
    const subscriptions = (["h", "c"] as const).map((kind) =>
      nc.subscribe(this.#names.liveSubject(this.#run, kind), {
        callback: (error, message) => {
          if (error !== null) return;
          const headers = headersOf(message);
          if (!END_STATUSES.has(headers.last(STATUS_HEADER) ?? "")) return;
          const sequence = Number(headers.last(HEADERS.sequence) ?? 0);
          this.#take({ data: message.data, subject: message.subject, sequence });
          if (!this.#isOver) void this.#read();
        },
      }),
    );
    this.#stop = [
      this.#link.onClose(() => this.noteClosed()),
      () => {
        for (const subscription of subscriptions) subscription.unsubscribe();
      },
      this.#link.onReconnect(() => void this.#read()),
    ];
    void this.#look();
  }

  finish(end: Outcome | Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#patience?.delete(this);
    for (const stop of this.#stop ?? []) stop();
    this.#stopPause?.();
    this.#done(end);
  }

  /** The client is closed: nobody hears of the end any more. */
  noteClosed(): void {
    const { taskName, runId } = this.#run;
    this.finish(
      new UnavailableError(
        `The client was closed while it waited for run "${runId}" of task "${taskName}". The run goes on.`,
        { taskName, runId },
      ),
    );
  }

  /** Looks now and again, ever more rarely. */
  async #look(): Promise<void> {
    await this.#read();
    if (this.#isOver) return;
    this.#stopPause = this.#link.clock.after(this.#pauseMs, () => void this.#look());
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_LOOK_MS);
  }

  /** Reads the ends of both possible histories; the first time anywhere, later from the leader. */
  async #read(): Promise<void> {
    try {
      const ofLeader = this.#pauseMs > FIRST_LOOK_MS;
      const last = await lastCommit(this.#link, this.#names, this.#run, ofLeader);
      if (this.#isOver) return;
      if (last.startSequence === undefined) return await this.#noteGone();
      this.#startSequence = last.startSequence;
      this.#goneSince = undefined;
      if (last.commit) this.#take(last.commit);
    } catch (error) {
      const isPassing = error instanceof ContrailError && error.retryable; // no server for a while
      if (!isPassing) this.finish(error as Error);
    }
  }

  async #noteGone(): Promise<void> {
    if (await this.#isGone()) this.finish(notFound(this.#run));
  }

  async #isGone(): Promise<boolean> {
    if (!this.#isStored) return !(await storedStart(this.#link, this.#names, this.#run));
    const now = this.#link.clock.monotonic();
    this.#goneSince ??= now;
    return now - this.#goneSince >= GONE_MS;
  }

  #take({ data, subject, sequence }: Pick<StoredMessage, "data" | "subject" | "sequence">): void {
    if (sequence <= this.#after) return;
    try {
      const { startSequence, entries } = decodeCommit(data, sequence, subject);
      const last = entries.at(-1);
      if (last?.kind === "ended" && startSequence === this.#startSequence)
        this.finish(last.outcome);
    } catch (error) {
      // Not by a worker of this version: a hint that is none, or why the run will be paused.
      if (!(error instanceof UndecodableError)) throw error;
    }
  }
}

/**
 * The last commit of a run, and the sequence of its start; no start when there is no such run. An end
 * that somebody asked to take back is none.
 */
export async function lastCommit(
  link: Pick<NatsLink, "reader">,
  names: Names,
  run: RunAddress,
  leader: boolean,
): Promise<{ readonly commit: StoredMessage | undefined; readonly startSequence?: number }> {
  const { prefix, stream } = names.run(run);
  const subjects = [`${prefix}.token.start`, `${prefix}.h`, `${prefix}.c`, `${prefix}.token.ready`];
  const { messages } = await link.reader.multiLast(stream, subjects);
  const find = (kind: string): StoredMessage | undefined =>
    messages.find(({ subject }) => subject === `${prefix}.${kind}`);
  const ofLeader = (kind: string): Promise<StoredMessage | undefined> =>
    link.reader.lastFor(stream, `${prefix}.${kind}`, { leader: true });
  const asksLeader = leader && !find("h") && !find("c");
  const [start, history, child] = await Promise.all([
    (asksLeader ? undefined : find("token.start")) ?? ofLeader("token.start"),
    asksLeader ? ofLeader("h") : find("h"),
    asksLeader ? ofLeader("c") : find("c"),
  ]);
  const last = history ?? child;
  const commit = isReopened(last, find("token.ready")) ? undefined : last;
  return { commit, ...(start ? { startSequence: start.sequence } : {}) };
}

/** Whether a retry was asked for that no worker has taken up yet. */
function isReopened(last: StoredMessage | undefined, ready: StoredMessage | undefined): boolean {
  if (!last || !ready || ready.sequence < last.sequence) return false;
  try {
    const { answers, because } = decodeReady(ready.data, ready.subject);
    return answers === last.sequence && because.repair?.again !== undefined;
  } catch (error) {
    if (error instanceof UndecodableError) return false;
    throw error;
  }
}

/** The output of a run that completed. @throws What became of it instead. */
export function outputOf(run: RunAddress, outcome: Outcome): unknown {
  if (outcome.status === "completed") return outcome.output;
  const { taskName, runId } = run;
  const what = `Run "${runId}" of task "${taskName}"`;
  const details = { taskName, runId, cause: fromFailure(outcome.error) };
  if (outcome.status === "canceled")
    throw new RunCanceledError(`${what} was canceled: ${outcome.error.message}`, details);
  throw new RunFailedError(`${what} failed: ${outcome.error.message}`, details);
}

/** @internal */
export function notFound({ taskName, runId }: RunAddress): RunNotFoundError {
  return new RunNotFoundError(
    `There is no run "${runId}" of task "${taskName}": it was never started, or purged after its keep time.`,
    { taskName, runId },
  );
}
