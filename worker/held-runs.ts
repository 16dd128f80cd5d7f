/**
 * The runs this worker holds a token for: keeps the tokens from being given to others, and notices
 * when a run belongs to somebody else or is to be canceled (rule 8).
 *
 * H1. A token is extended only after a look at the history that showed this pass at its end.
 * H2. A step starts only if the last such look is younger than half the claim timeout.
 * H3. Every pass is kept for itself: of two tokens for one run that meet at one worker, the one that
 *     loses the race for the claim takes nothing with it.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { decodeCommit } from "../shared/entries.ts";
import { ContrailError, UndecodableError } from "../shared/errors.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type CancelRequest, decodeCancel } from "../shared/messages.ts";
import type { RunState } from "../shared/run-state.ts";
import type { Services } from "./services.ts";

/** A run that a pass of this worker goes through. */
export interface HeldRun {
  readonly token: DeliveredMessage;
  readonly stream: string;
  /** The literal subject of its history. */
  readonly history: string;
  readonly cancelSubject: string;
  readonly pass: string;
  readonly state: RunState;
  /** Monotonic time of the last sign that the run is ours: a commit, or a look at its history. */
  provenAt: number;
  /** The run belongs to somebody else. */
  onLost(): void;
  /** This worker ends: the run is for another worker to go on with, at once. */
  onHandOver(): void;
  /** The run is suspected of killing its workers and has not: its pass records that. */
  onOutlived(): void;
  /** Somebody asked to cancel the run. May be called again for the same request. */
  onCancel(request: CancelRequest): void;
}

/** Keeps the tokens of one worker alive. */
export class HeldRuns {
  readonly #services: Services;
  /** By history: nearly always one. */
  readonly #held: Map<string, readonly HeldRun[]> = new Map();
  #stopTimer: CancelTimer | undefined;
  #passes = 0;
  #isClosed = false;

  constructor(services: Services) {
    this.#services = services;
  }

  /** Counts the passes of this worker, from 1. */
  takeOrdinal(): number {
    return ++this.#passes;
  }

  /** How many runs are held, counting each once. */
  get size(): number {
    return this.#held.size;
  }

  /** All of them, for handing them over. */
  get all(): readonly HeldRun[] {
    return [...this.#held.values()].flat();
  }

  /** Whether a pass of this worker holds this run by this token. */
  isHeld(history: string, tokenSequence: number): boolean {
    const passes = this.#held.get(history);
    return passes?.some(({ token }) => token.streamSequence === tokenSequence) ?? false;
  }

  /** Whether a pass of this worker holds this run, by whichever token. */
  holds(history: string): boolean {
    return this.#held.has(history);
  }

  /** Lets a pass record that this worker has outlived its run for a while. */
  noteOutlived(history: string, tokenSequence: number): void {
    for (const run of this.#held.get(history) ?? [])
      if (run.token.streamSequence === tokenSequence) run.onOutlived();
  }

  /**
   * Begins to keep a token. Of two passes of one run, the guard decides which is its owner. A run that
   * comes to a worker which has handed over all others goes after them.
   */
  add(run: HeldRun): void {
    if (this.#isClosed) return run.onHandOver();
    const others = this.#held.get(run.history);
    this.#held.set(run.history, others ? [...others, run] : [run]);
    this.#arm();
  }

  /** Stops keeping a token. It is for the caller to acknowledge it or to leave it. */
  remove(run: HeldRun): void {
    const passes = this.#held.get(run.history);
    const others = passes?.filter((other) => other !== run) ?? [];
    if (others.length > 0) this.#held.set(run.history, others);
    else this.#held.delete(run.history);
  }

  /** Whether the run is surely ours, by a look at its history if the last sign is too old. */
  prove(run: HeldRun): boolean | Promise<boolean> {
    const ageMs = this.#services.clock.monotonic() - run.provenAt;
    return ageMs < this.#services.claimTimeoutMs / 2 || this.#lookAt(run);
  }

  async #lookAt(run: HeldRun): Promise<boolean> {
    return (await this.#look([run])).includes(run);
  }

  /** Looks at a request to cancel as soon as the live feed shows it. */
  noteCancel(cancelSubject: string, body: Uint8Array): void {
    for (const run of this.all) if (run.cancelSubject === cancelSubject) this.#cancel(run, body);
  }

  /** Stops everything. Tokens are left as they are. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#held.clear();
  }

  #arm(): void {
    if (this.#stopTimer || this.#held.size === 0) return;
    this.#stopTimer = this.#services.clock.after(this.#services.claimTimeoutMs / 6, () => {
      this.#stopTimer = undefined;
      void this.#extend().finally(() => this.#arm());
    });
  }

  /** Extends the tokens that need it soon. Fresh ones cost nothing. */
  async #extend(): Promise<void> {
    const { clock, claimTimeoutMs } = this.#services;
    const now = clock.monotonic();
    const old = this.all.filter((run) => now - this.#extendedAt(run) >= claimTimeoutMs / 6);
    for (const run of await this.#look(old)) {
      run.token.progress();
      this.#extensions.set(run, now);
    }
  }

  readonly #extensions: WeakMap<HeldRun, number> = new WeakMap();

  #extendedAt(run: HeldRun): number {
    return this.#extensions.get(run) ?? run.token.requestedAt;
  }

  /** Looks at the ends of histories and at requests to cancel; returns the runs that are ours. */
  async #look(runs: readonly HeldRun[]): Promise<HeldRun[]> {
    const byStream = new Map<string, HeldRun[]>();
    for (const run of runs) byStream.set(run.stream, [...(byStream.get(run.stream) ?? []), run]);
    const ours: HeldRun[] = [];
    for (const [stream, group] of byStream) {
      try {
        ours.push(...(await this.#lookIn(stream, group)));
      } catch (error) {
        if (!(error instanceof ContrailError)) throw error;
        this.#services.log.warn("Held runs could not be looked at; the claims may be lost.", {
          stream,
          error: error.message,
        });
      }
    }
    return ours;
  }

  async #lookIn(stream: string, runs: readonly HeldRun[]): Promise<HeldRun[]> {
    const { reader } = this.#services.link;
    const lookedAt = this.#services.clock.monotonic();
    const subjects = runs.flatMap((run) => [run.history, run.cancelSubject]);
    const { messages } = await reader.multiLast(stream, subjects);
    const bySubject = new Map(messages.map((message) => [message.subject, message]));
    const ours: HeldRun[] = [];
    for (const run of runs) {
      if (!this.#held.get(run.history)?.includes(run)) continue;
      let tail = bySubject.get(run.history);
      if ((tail?.sequence ?? 0) < run.state.tail)
        tail = await reader.lastFor(stream, run.history, { leader: true });
      if (!this.#isOurs(run, tail)) {
        this.remove(run);
        run.onLost();
        continue;
      }
      run.provenAt = Math.max(run.provenAt, lookedAt);
      const cancel = bySubject.get(run.cancelSubject);
      if (cancel) this.#cancel(run, cancel.data);
      ours.push(run);
    }
    return ours;
  }

  #isOurs(run: HeldRun, tail: StoredMessage | undefined): boolean {
    if (!tail || tail.sequence <= run.state.tail) return true;
    try {
      return decodeCommit(tail.data, tail.sequence, run.history).pass === run.pass;
    } catch (error) {
      if (error instanceof UndecodableError) return false; // nothing can be appended behind it
      throw error;
    }
  }

  #cancel(run: HeldRun, body: Uint8Array): void {
    try {
      const request = decodeCancel(body, run.cancelSubject);
      if (request.startSequence === run.state.startSequence) run.onCancel(request);
    } catch (error) {
      this.#services.log.error("A request to cancel cannot be read.", {
        subject: run.cancelSubject,
        error,
      });
    }
  }
}
