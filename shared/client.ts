/** The client: starts runs, follows them to their end, publishes events. */

import { isDeepStrictEqual } from "node:util";
import {
  type BulkAction,
  type BulkFilter,
  type BulkOptions,
  type BulkResult,
  repairAll,
} from "./bulk-repairs.ts";
import { encodeEventPayload } from "./codec.ts";
import { type DurationInput, toTimeoutMs } from "./durations.ts";
import { EndListener } from "./end-listener.ts";
import type { Outcome } from "./entries.ts";
import { InvalidInputError, RunConflictError, UnavailableError } from "./errors.ts";
import { checkEventName } from "./event-names.ts";
import { EventsPosition } from "./events-position.ts";
import { type Explanation, explainRun } from "./explain.ts";
import { newId } from "./ids.ts";
import { connectNats, type NatsLink, type NatsOptions } from "./jetstream/connection.ts";
import { type LeaseRecord, readLeases } from "./leases.ts";
import { decodeStart, encodeCancel, encodeStart, type Start } from "./messages.ts";
import { setQueueDeadline } from "./queue-deadline.ts";
import { readFacts } from "./run-facts.ts";
import { followRun } from "./run-follow.ts";
import { type ListOptions, listRuns, type RunSummary } from "./run-list.ts";
import { type ForkOptions, forkedStart, type RunRepairs, runRepairs } from "./run-repairs.ts";
import { notFound, outputOf, waitForEnd } from "./run-results.ts";
import { type RunView, readView } from "./run-view.ts";
import { validateInput } from "./schema.ts";
import { DEFAULT_NAMESPACE, readSetup } from "./setup.ts";
import { checkName, EVENTS_PREFIX, type Names, type RunAddress } from "./subjects.ts";
import { definitionOf, queueLimitOf } from "./task-definition.ts";
import { type AnyTask, isTask, type Task } from "./task-reference.ts";

/** How to connect a client. */
export interface ClientOptions extends NatsOptions {
  /** @defaultValue "contrail" */
  readonly namespace?: string;
}

/** How to start a run. */
export interface StartOptions {
  /**
   * Id of the run, 1 to 128 bytes. Starting twice with one id starts one run.
   * @defaultValue A new random id.
   */
  readonly id?: string;
  /** Who starts it, for people who look at the history. @defaultValue The client's name. */
  readonly by?: string;
  /**
   * How long the run may wait in the queue for a worker to begin it; then it fails.
   * @defaultValue The task's, if the task is given and has one.
   */
  readonly queueTimeout?: DurationInput;
}

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
   * Asks to cancel the run. It ends when its code has noticed; a run that has ended stays as it is.
   * @throws {RunNotFoundError} When there is no such run.
   */
  cancel(reason?: string): Promise<void>;
  /**
   * Ends the run as canceled without asking its code: no cleanup, no undos. Its children are canceled.
   * @throws {RunNotFoundError} When there is no such run.
   */
  terminate(reason?: string): Promise<void>;
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
  /** What its log says. @throws {RunNotFoundError} When there is no such run. */
  view(): Promise<RunView>;
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

/** A connection to one namespace. */
export interface Client {
  /**
   * Starts a run and returns when the start is stored. Starting again with the same id and an equal
   * input returns a handle to the same run.
   * @throws {InvalidInputError} When the input does not fit the task's schema or cannot be stored.
   * @throws {RunConflictError} When the id belongs to a run with another input.
   * @throws {LimitExceededError} When the input is larger than the server accepts.
   * @example
   * const run = await client.start(fulfil, { id: "42", skus: ["a"] }, { id: "order-42" });
   */
  start<Input, Output>(
    task: Task<Input, Output>,
    ...args: undefined extends Input
      ? [input?: NoInfer<Input>, options?: StartOptions]
      : [input: NoInfer<Input>, options?: StartOptions]
  ): Promise<RunHandle<Output>>;
  /** Starts a run of a task that is only known by its name. */
  start(taskName: string, input?: unknown, options?: StartOptions): Promise<RunHandle>;
  /** A handle to a run, without asking whether it exists. */
  get<Output>(task: Task<never, Output>, runId: string): RunHandle<Output>;
  get(taskName: string, runId: string): RunHandle;
  /**
   * Publishes an event and returns when it is stored. When the answer is lost it may be stored
   * twice.
   * @throws {UnavailableError} When it may not have been stored.
   * @throws {IncompatibleSetupError} When no stream takes events: the namespace is not set up.
   * @param name Tokens separated by dots, without wildcards.
   * @example
   * await client.publish("order.approved", { orderId: "42" });
   */
  publish(name: string, payload?: unknown): Promise<{ readonly sequence: number }>;
  /** Lists runs, the newest first. Reads a header for every run of the log. */
  list(options?: ListOptions): Promise<RunSummary[]>;
  /**
   * Asks for the same of all runs that a filter selects. Those that cannot be asked are told of in
   * the result.
   * @example
   * const { matched } = await client.bulk("retry", { taskName: "fulfil" }, { isDryRun: true });
   */
  bulk(action: BulkAction, filter: BulkFilter, options?: BulkOptions): Promise<BulkResult>;
  /** Which workers live and hold which slots for which runs, by the lease records of both pools. */
  leases(): Promise<LeaseRecord[]>;
  readonly namespace: string;
  /** Disconnects. Runs go on. Safe to repeat. */
  close(): Promise<void>;
}

/**
 * Connects a client to a namespace that was set up by an engine.
 * @throws {UnavailableError} When no server answers.
 * @throws {IncompatibleSetupError} When the namespace is not set up.
 */
export async function connect(options: ClientOptions): Promise<Client> {
  const { namespace = DEFAULT_NAMESPACE } = options;
  const link = await connectNats({ name: "contrail client", ...options });
  try {
    const { names } = await readSetup(link, namespace);
    return new LinkedClient(link, names, options.name ?? "client");
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** A client over a connection that somebody else owns. @internal */
export function clientOver(link: NatsLink, names: Names, by: string): Client {
  return new LinkedClient(link, names, by);
}

class LinkedClient implements Client {
  readonly #link: NatsLink;
  readonly #names: Names;
  readonly #by: string;
  readonly #events: EventsPosition;
  readonly #ends: EndListener;

  constructor(link: NatsLink, names: Names, by: string) {
    this.#link = link;
    this.#names = names;
    this.#by = by;
    this.#ends = new EndListener(link, names);
    this.#events = new EventsPosition(link.reader, names.eventsStream, () =>
      link.clock.monotonic(),
    );
  }

  get namespace(): string {
    return this.#names.namespace;
  }

  async start(
    task: AnyTask | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<RunHandle<never>> {
    const address = addressOf(task, options.id ?? newId());
    const definition = isTask(task) ? definitionOf(task) : undefined;
    const what = `input of run "${address.runId}" of task "${address.taskName}"`;
    const checked = definition?.schema
      ? await validateInput(definition.schema, input, what)
      : input;
    const events =
      definition?.kind === "regular" ? { after: 0, created: "" } : await this.#events.recent();
    const { nonce, end, forget } = this.#ends.expect();
    const { by = this.#by, queueTimeout } = options;
    const asked =
      queueTimeout === undefined ? undefined : toTimeoutMs(queueTimeout, "queueTimeout");
    const queueTimeoutMs = queueLimitOf(definition, asked);
    const common = { input: checked, events, nonce, by };
    const start: Start = queueTimeoutMs === undefined ? common : { ...common, queueTimeoutMs };
    try {
      const isOurs = await this.#publishStart(address, start);
      if (queueTimeoutMs !== undefined)
        await setQueueDeadline(this.#link, this.#names, address, queueTimeoutMs);
      if (!isOurs) forget(); // whoever started it is told
      return this.#handle(address, isOurs ? end : undefined) as RunHandle<never>;
    } catch (error) {
      forget();
      throw error;
    }
  }

  get(task: AnyTask | string, runId: string): RunHandle<never> {
    return this.#handle(addressOf(task, runId)) as RunHandle<never>;
  }

  async publish(name: string, payload?: unknown): Promise<{ readonly sequence: number }> {
    checkEventName(name);
    const { body, contentType } = encodeEventPayload(payload, `payload of event "${name}"`);
    const headers =
      contentType === undefined ? undefined : [["Content-Type", contentType] as const];
    const outcome = await this.#link.publisher.publish(EVENTS_PREFIX + name, body, headers);
    if (!outcome.ok) {
      // There is no stream, which this finds out, or it has no leader for a moment.
      if (outcome.kind === "unknown" && outcome.reason === "no-responders")
        await this.#events.read();
      const reason = outcome.kind === "refused" ? outcome.description : outcome.kind;
      throw new UnavailableError(`The event "${name}" may not have been stored: ${reason}.`);
    }
    this.#events.note(outcome.sequence);
    return { sequence: outcome.sequence };
  }

  list(options: ListOptions = {}): Promise<RunSummary[]> {
    return listRuns(this.#link, this.#names, options);
  }

  leases(): Promise<LeaseRecord[]> {
    return readLeases(this.#link, this.#names);
  }

  bulk(action: BulkAction, filter: BulkFilter, options: BulkOptions = {}): Promise<BulkResult> {
    const { reason = "" } = options;
    const runs = {
      list: (which: ListOptions) => this.list(which),
      view: (run: RunAddress) => readView(this.#link, this.#names, run),
      act: (run: RunAddress): Promise<void> => {
        const handle = this.#handle({ taskName: run.taskName, runId: run.runId });
        if (action === "resume" || action === "retry") return handle[action]({ reason });
        return handle[action](reason);
      },
    };
    return repairAll(runs, action, filter, options);
  }

  close(): Promise<void> {
    return this.#link.drain();
  }

  #handle(address: RunAddress, firstHint?: Promise<Outcome>): RunHandle {
    let hint = firstHint;
    let after = 0;
    return {
      ...address,
      ...runRepairs(this.#link, this.#names, address, {
        by: this.#by,
        onAsked: (answers) => {
          // It told of an end that holds no more, as does the log until the run is taken up.
          hint = undefined;
          after = answers;
        },
      }),
      fork: async ({ id = newId(), ...options } = {}) => {
        const to = addressOf(address.taskName, id);
        const by = this.#by;
        const start = await forkedStart(this.#link, this.#names, address, { ...options, by });
        await this.#publishStart(to, { ...start, nonce: newId() });
        return this.#handle(to);
      },
      result: async ({ signal } = {}) => {
        const how = { signal, hint, after };
        return outputOf(address, await waitForEnd(this.#link, this.#names, address, how));
      },
      cancel: (reason = "") => this.#cancel(address, reason, false),
      terminate: (reason = "") => this.#cancel(address, reason, true),
      view: () => readView(this.#link, this.#names, address),
      follow: ({ signal } = {}) => followRun(this.#link, this.#names, address, signal),
      why: async () => {
        const facts = await readFacts(this.#link, this.#names, address);
        return explainRun(await readView(this.#link, this.#names, address), facts);
      },
    };
  }

  /** @returns Whether this call started the run; else it was running already. */
  async #publishStart(address: RunAddress, start: Start): Promise<boolean> {
    const { prefix, stream } = this.#names.run(address);
    const subject = `${prefix}.start`;
    const outcome = await this.#link.publisher.guardedPublish(subject, encodeStart(start), {
      expect: 0,
    });
    if (outcome.ok) return true;
    const { taskName, runId } = address;
    const what = `Run "${runId}" of task "${taskName}"`;
    if (outcome.kind !== "guard")
      throw new UnavailableError(
        `${what} may not have been started: ${outcome.kind === "refused" ? outcome.description : outcome.kind}. Starting it again with the same id is safe.`,
        { taskName, runId },
      );
    const found = await this.#link.reader.lastFor(stream, subject, { leader: true });
    if (!found) throw new UnavailableError(`${what} was purged just now. Start it again.`);
    const other = decodeStart(found.data, `${subject}, sequence ${found.sequence}`);
    if (other.nonce === start.nonce) return true;
    const isSame = isDeepStrictEqual(other.input, decodeStart(encodeStart(start), subject).input);
    if (isSame && !other.parent) return false;
    throw new RunConflictError(
      other.parent
        ? `${what} was started as a child of run "${other.parent.runId}". Use another id.`
        : `${what} was started before with another input. Use another id, or the same input.`,
      { taskName, runId },
    );
  }

  async #cancel(address: RunAddress, reason: string, isTermination: boolean): Promise<void> {
    const { prefix, stream } = this.#names.run(address);
    const start = await this.#link.reader.lastFor(stream, `${prefix}.start`, { leader: true });
    if (!start) throw notFound(address);
    const body = encodeCancel({
      startSequence: start.sequence,
      by: this.#by,
      reason,
      isTermination,
    });
    const outcome = await this.#link.publisher.guardedPublish(`${prefix}.cancel`, body, {
      expect: start.sequence,
      expectSubject: `${prefix}.start`,
    });
    if (outcome.ok) return;
    if (outcome.kind === "guard") throw notFound(address);
    throw new UnavailableError(
      `The request to cancel run "${address.runId}" may not have been stored: ${outcome.kind}. Asking again is safe.`,
    );
  }
}

function addressOf(task: AnyTask | string, runId: string): RunAddress {
  const taskName = isTask(task) ? definitionOf(task).name : task;
  if (typeof taskName !== "string")
    throw new InvalidInputError(
      "Expected a task made by task() or durableTask(), or the name of one.",
      { value: task },
    );
  checkName(taskName, "task name");
  checkName(runId, "run id");
  return { taskName, runId };
}
