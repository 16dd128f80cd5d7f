/** A run as its client sees it: asks for its end, its view, and that it be canceled. */
import type { Outcome } from "./entries.ts";
import { type Explanation, explainRun } from "./explain.ts";
import { readMismatches } from "./filter-mismatches.ts";
import type { History } from "./history-file.ts";
import { newId } from "./ids.ts";
import { unstoredError } from "./jetstream/unstored.ts";
import { encodeCancel, type Start } from "./messages.ts";
import { checkFields, checkText } from "./option-fields.ts";
import { PayloadReference } from "./payload-reference.ts";
import { readFacts } from "./run-facts.ts";
import { followRun } from "./run-follow.ts";
import { storedStart } from "./run-presence.ts";
import {
  type ForkOptions,
  forkedStart,
  type RepairHub,
  type RepairOptions,
  type RetryOptions,
  type RunRepairs,
  runRepairs,
} from "./run-repairs.ts";
import { type HintPatience, notFound, outputOf, waitForEnd } from "./run-results.ts";
import { type RunView, readView } from "./run-view.ts";
import { checkName, type RunAddress } from "./subjects.ts";
import { wholeHistory } from "./whole-history.ts";

/** A run, wherever it is executed. */
export interface RunHandle<out Output = unknown> extends RunRepairs {
  readonly taskName: string;
  readonly runId: string;
  /**
   * Waits for the run to end and returns its output. Survives a lost connection.
   * @throws {RunFailedError} When the run failed; `cause` holds what its task threw.
   * @throws {RunCanceledError} When it was canceled.
   * @throws {RunNotFoundError} When there is no such run.
   * @throws {UnavailableError} When the client is closed meanwhile. The run goes on.
   */
  result(options?: { readonly signal?: AbortSignal }): Promise<Output>;
  /**
   * Asks to cancel the run. It ends when its code has noticed; a run that has ended stays as it is. A
   * paused run whose code does not follow its history stays paused, until it is resumed or terminated.
   * @param why The reason; the history says so.
   * @throws {RunNotFoundError} When there is no such run.
   */
  cancel(why?: string | RepairOptions): Promise<void>;
  /**
   * Ends the run as canceled without asking its code: no cleanup, no undos. Its children are canceled.
   * @throws {RunNotFoundError} When there is no such run.
   */
  terminate(why?: string | RepairOptions): Promise<void>;
  /**
   * Starts a new run of the task that has this one's recorded results, and executes none of these
   * steps again. Children that this run waits for are started anew. `ctx.random`, `ctx.uuid` and
   * `ctx.now` go on as they did here; `ctx.runId` is the new one.
   * @throws {RepairRefusedError} When it has no such entries, or no result that is to be changed.
   * @throws {LimitExceededError} When the history is larger than one message that the server accepts.
   * @example
   * const fork = await run.fork({ id: "order-42-again", entries: 7, results: { charge: "paid" } });
   */
  fork(options?: ForkOptions): Promise<RunHandle<Output>>;
  /**
   * What its log says. Values that are too large for the log are references in it, which show their
   * size.
   * @throws {RunNotFoundError} When there is no such run.
   */
  view(): Promise<RunView>;
  /**
   * What a replay needs of its log, large values included: `historyText` makes it the text of a file.
   * @throws {RunNotFoundError} When there is no such run.
   * @throws {PayloadMissingError} When a large value is not in the object store any more.
   */
  history(): Promise<History>;
  /**
   * Follows the run: gives what its log says now, and again after each change, until it has ended.
   * Changes that come faster than the log can be read are given as one. Survives a lost connection.
   * Each view costs a read of the run's whole log.
   * @throws {RunNotFoundError} When there is no such run, or it is purged meanwhile.
   * @throws {UnavailableError} When no server answers for about 12 s, or the client is closed.
   * @example
   * for await (const { state } of run.follow()) console.log(state.status, state.worker);
   */
  follow(options?: { readonly signal?: AbortSignal }): AsyncIterable<RunView>;
  /**
   * Why it is where it is, in one sentence: what it waits for, since when, what will wake it, or who
   * holds its slot, or how it ended.
   * @throws {RunNotFoundError} When there is no such run.
   */
  why(): Promise<Explanation>;
}

/** What the runs of one client share. */
export interface RunHub extends RepairHub {
  readonly patience: HintPatience;
  /** Publishes a start. @throws {RunConflictError} When the id belongs to another run. */
  readonly begin: (address: RunAddress, start: Start) => Promise<void>;
}

/** A run of a client's namespace. */
export class LinkedRun implements RunHandle {
  readonly taskName: string;
  readonly runId: string;
  readonly #hub: RunHub;
  /** May resolve with the end; may stay pending. */
  #end: Promise<Outcome> | undefined;
  /** Sequence of an end that holds no more. */
  #after = 0;
  /** Whether the client was told that the start is stored. */
  readonly #isStored: boolean;

  /** @param begun Given when the client was told that the start is stored; may have what hears of the end. */
  constructor(hub: RunHub, address: RunAddress, begun?: { readonly end?: Promise<Outcome> }) {
    this.taskName = address.taskName;
    this.runId = address.runId;
    this.#hub = hub;
    this.#end = begun?.end;
    this.#isStored = begun !== undefined;
  }

  async result({ signal }: { readonly signal?: AbortSignal } = {}): Promise<unknown> {
    const { link, names, patience } = this.#hub;
    const hint = this.#end && { end: this.#end, patience };
    const isStored = this.#isStored;
    const end = await waitForEnd(link, names, this, { signal, hint, after: this.#after, isStored });
    const output = outputOf(this, end);
    return output instanceof PayloadReference ? this.#hub.payloads.fetch(output) : output;
  }

  resume(options?: RepairOptions): Promise<void> {
    return this.#repairs.resume(options);
  }

  retry(options?: RetryOptions): Promise<void> {
    return this.#repairs.retry(options);
  }

  skip(step: string, result?: unknown, options?: RepairOptions): Promise<void> {
    return this.#repairs.skip(step, result, options);
  }

  cancel(why: string | RepairOptions = ""): Promise<void> {
    return this.#cancel(why, false);
  }

  terminate(why: string | RepairOptions = ""): Promise<void> {
    return this.#cancel(why, true);
  }

  async fork({ id = newId(), ...options }: ForkOptions = {}): Promise<RunHandle<never>> {
    checkName(id, "run id");
    const fork = { taskName: this.taskName, runId: id };
    const start = await forkedStart(this.#hub, this, fork, options);
    const { begin } = this.#hub;
    await begin(fork, { ...start, nonce: newId() });
    return new LinkedRun(this.#hub, fork, {}) as RunHandle as RunHandle<never>;
  }

  view(): Promise<RunView> {
    return readView(this.#hub.link, this.#hub.names, this);
  }

  async history(): Promise<History> {
    return wholeHistory<History>(this.#hub.payloads, await this.view());
  }

  follow({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterable<RunView> {
    return followRun(this.#hub.link, this.#hub.names, this, signal);
  }

  async why(): Promise<Explanation> {
    const { link, names } = this.#hub;
    const facts = await readFacts(link, names, this);
    const view = await readView(link, names, this);
    const mismatches = await readMismatches(link, names, view);
    return explainRun(view, { ...facts, mismatches });
  }

  get #repairs(): RunRepairs {
    const onAsked = (answers: number): void => {
      // What was told of an end holds no more, as what the log says until the run is taken up.
      this.#end = undefined;
      this.#after = answers;
    };
    return runRepairs(this.#hub, this, onAsked);
  }

  async #cancel(why: string | RepairOptions, isTermination: boolean): Promise<void> {
    const reason = reasonIn(why, isTermination ? "terminate()" : "cancel()");
    const { link, names, by } = this.#hub;
    const address = { taskName: this.taskName, runId: this.runId };
    const { prefix } = names.run(address);
    const start = await storedStart(link, names, address);
    if (!start) throw notFound(address);
    const body = encodeCancel({
      startSequence: start.sequence,
      by,
      reason,
      isTermination,
    });
    const outcome = await link.publisher.guardedPublish(`${prefix}.cancel`, body, {
      expect: start.sequence,
      expectSubject: `${prefix}.token.start`,
    });
    if (outcome.ok) return;
    if (outcome.kind === "guard") throw notFound(address);
    throw unstoredError(outcome, {
      what: `The request to cancel run "${this.runId}"`,
      mayNot: "may not have been stored",
      advice: "Asking again is safe.",
    });
  }
}

/** The reason, by itself or in options. What is no text nobody could read in the request. */
function reasonIn(why: string | RepairOptions, caller: string): string {
  if (typeof why === "object" && why !== null) checkFields(why, `options of ${caller}`, ["reason"]);
  const reason = typeof why === "object" && why !== null ? (why.reason ?? "") : why;
  checkText(reason, "reason");
  return reason;
}
