/**
 * Sees to it that a request to cancel reaches its run also while it sleeps (rule 17). A run that is
 * carried by a worker sees the request itself; one that waits is woken with it.
 *
 * C1. A cancel is open until the run's history shows it, or its end, or another start.
 * C2. Each look is at least as new as the cancel. A waiting run is told once per waiting commit.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { decodeCommit } from "../shared/entries.ts";
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { beginningOf } from "../shared/history-reader.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type CancelRequest, decodeCancel, encodeReady } from "../shared/messages.ts";
import { STATUS_HEADER } from "../shared/subjects.ts";
import type { LastReads } from "./last-reads.ts";
import { isEnd } from "./past.ts";
import type { QueuedRuns } from "./queued-runs.ts";
import type { EngineServices } from "./services.ts";
import { publishReady, type ReadyTarget } from "./tokens.ts";

/** Counts for people. */
export interface CancelsStatus {
  readonly open: number;
  /** Runs woken since the term began. */
  readonly told: number;
}

interface OpenCancel {
  readonly prefix: string;
  readonly stream: string;
  readonly sequence: number;
  readonly startSequence: number;
  readonly request: CancelRequest;
  readonly openedAt: number;
  /** The waiting commit that was told last. */
  toldAt: number;
  nextLookAt: number;
  pauseMs: number;
  isLooking: boolean;
}

/** Pauses between looks at a run that is carried by a worker, or is queued. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** So long a run without a history may be one that a worker has begun and said nothing of yet. */
const QUEUED_PATIENCE_MS = 3_000;

/** The open cancels of a namespace. */
export class Cancels {
  readonly #services: EngineServices;
  readonly #reads: Pick<LastReads, "last">;
  readonly #queued: Pick<QueuedRuns, "cancel">;
  readonly #onToken: (target: ReadyTarget) => void;
  readonly #open = new Map<string, OpenCancel>();
  #stopTimer: CancelTimer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #told = 0;

  constructor(
    services: EngineServices,
    reads: Pick<LastReads, "last">,
    queued: Pick<QueuedRuns, "cancel">,
    onToken: (target: ReadyTarget) => void = () => {},
  ) {
    this.#onToken = onToken;
    this.#services = services;
    this.#queued = queued;
    this.#reads = reads;
  }

  get status(): CancelsStatus {
    return { open: this.#open.size, told: this.#told };
  }

  /** Takes a `cancel` message. Undecodable ones are reported and harm nobody else (P9). */
  open(message: StoredMessage): void {
    const { names, log, clock } = this.#services;
    try {
      const where = `${message.subject}, sequence ${message.sequence}`;
      const request = decodeCancel(message.data, where);
      const { startSequence } = request;
      const { prefix, stream } = names.run(names.parse(message.subject));
      const earlier = this.#open.get(prefix);
      if (earlier && earlier.sequence >= message.sequence) return;
      const cancel: OpenCancel = {
        prefix,
        stream,
        sequence: message.sequence,
        startSequence,
        request,
        openedAt: clock.monotonic(),
        toldAt: 0,
        nextLookAt: clock.monotonic(),
        pauseMs: FIRST_PAUSE_MS,
        isLooking: false,
      };
      this.#open.set(prefix, cancel);
      void this.#look(cancel); // reports its own errors
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error;
      const { subject, sequence } = message;
      log.error(`A cancel cannot be read: ${error.message}`, { subject });
      const fate = "It cancels nothing.";
      this.#services.undecodable.note({ subject, sequence, problem: error.message, fate });
    }
  }

  /** A run has registered a wait: if a cancel is open for it, this is the moment to tell it. */
  noteWaiting(prefix: string): void {
    if (this.#open.size === 0) return;
    const cancel = this.#open.get(prefix);
    if (!cancel) return;
    cancel.pauseMs = FIRST_PAUSE_MS;
    void this.#look(cancel); // reports its own errors
  }

  /** Ends the timer. */
  close(): void {
    this.#stopTimer?.();
    this.#open.clear();
  }

  async #look(cancel: OpenCancel): Promise<void> {
    if (cancel.isLooking) return;
    cancel.isLooking = true;
    let isClosed = false;
    try {
      isClosed = await this.#settle(cancel);
    } catch (error) {
      const { signal, log } = this.#services;
      if (signal.aborted) return;
      const isPassing = error instanceof UnavailableError;
      const fields = { run: cancel.prefix };
      log[isPassing ? "warn" : "error"](`A cancel could not be seen to: ${String(error)}`, fields);
    } finally {
      cancel.isLooking = false;
    }
    if (this.#services.signal.aborted || this.#open.get(cancel.prefix) !== cancel) return;
    if (isClosed) this.#open.delete(cancel.prefix);
    else this.#lookLater(cancel);
  }

  #lookLater(cancel: OpenCancel): void {
    cancel.nextLookAt = this.#services.clock.monotonic() + cancel.pauseMs;
    cancel.pauseMs = Math.min(cancel.pauseMs * 2, LONGEST_PAUSE_MS);
    this.#setTimer(cancel.nextLookAt);
  }

  #setTimer(at: number): void {
    if (at >= this.#timerAt) return;
    this.#stopTimer?.();
    this.#timerAt = at;
    const { clock } = this.#services;
    this.#stopTimer = clock.after(at - clock.monotonic(), () => this.#lookAtDue());
  }

  #lookAtDue(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#services.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const cancel of this.#open.values()) {
      if (cancel.isLooking) continue;
      if (cancel.nextLookAt <= now)
        void this.#look(cancel); // reports its own errors
      else next = Math.min(next, cancel.nextLookAt);
    }
    if (next < Number.POSITIVE_INFINITY) this.#setTimer(next);
  }

  /** Looks at the run and tells it if it waits. True when the cancel needs no more care. */
  async #settle(cancel: OpenCancel): Promise<boolean> {
    const { prefix, stream, sequence } = cancel;
    const [h, c, stored] = await Promise.all(
      [`${prefix}.h`, `${prefix}.c`, `${prefix}.cancel`].map((subject) =>
        this.#reads.last(stream, subject, sequence),
      ),
    );
    // Purged with its run, which may have been started again since; or there is a newer request.
    if (stored?.sequence !== sequence) return true;
    const tail = [h, c].find((last) => last && last.sequence > cancel.startSequence);
    if (!tail) {
      await this.#endQueued(cancel);
      return false;
    }
    if (isEnd(tail)) return true;
    const status = tail.headers.last(STATUS_HEADER);
    // Without a status it is no commit, and nobody may hold the run: whoever is told pauses it, and is
    // told again.
    const isAtWork = status !== undefined && status !== "waiting" && status !== "paused";
    if (isAtWork) return false;
    if (cancel.toldAt === tail.sequence) return false;
    if (
      status === "paused" &&
      !cancel.request.isTermination &&
      (await this.#isRecorded(cancel, tail))
    )
      return true;
    await this.#tell(cancel, tail);
    return false;
  }

  /**
   * A run that no worker has begun is ended here. One that was begun without a claim says so as soon
   * as its worker hears of the request: it is given time for that.
   */
  async #endQueued({ request, prefix, stream, openedAt }: OpenCancel): Promise<void> {
    if (this.#services.clock.monotonic() - openedAt < QUEUED_PATIENCE_MS) return;
    await this.#queued.cancel({ prefix, stream }, request);
  }

  async #tell(cancel: OpenCancel, tail: StoredMessage): Promise<void> {
    const isChild = tail.subject.endsWith(".c");
    const { prefix, startSequence, sequence } = cancel;
    const because = { cancel: sequence };
    const body = encodeReady({ answers: tail.sequence, startSequence, isChild, because });
    const point = this.#services.failpoint("engine-before-ready");
    if (point) await point;
    const target = { prefix, waitSequence: tail.sequence, isChild };
    const end = await publishReady(this.#services, target, body);
    if (end === "refused") cancel.pauseMs = FIRST_PAUSE_MS; // it went on at this moment: look again
    if (end !== "stored") return;
    cancel.toldAt = tail.sequence;
    this.#onToken(target);
    this.#told++;
  }

  /** Whether a paused run has met the cancel before it was paused: waking it would change nothing. */
  async #isRecorded(cancel: OpenCancel, tail: StoredMessage): Promise<boolean> {
    const { link, signal } = this.#services;
    const from = beginningOf(tail);
    const commits = await link.reader.readSubject(cancel.stream, tail.subject, from, { signal });
    return commits.some(({ data, sequence, subject }) => {
      try {
        const { startSequence, entries } = decodeCommit(data, sequence, subject);
        const isRecorded = entries.some(({ kind }) => kind === "cancel-requested");
        return isRecorded && startSequence === cancel.startSequence;
      } catch {
        return false; // a commit that nobody can read: perhaps why the run is paused
      }
    });
  }
}
