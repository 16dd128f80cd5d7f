/** The client: starts runs, follows them to their end, publishes events. */

import { isDeepStrictEqual } from "node:util";
import {
  type BulkAction,
  type BulkFilter,
  type BulkOptions,
  type BulkResult,
  checkBulk,
  repairAll,
} from "./bulk-repairs.ts";
import { encodeEventPayload } from "./codec.ts";
import { type DurationInput, toTimeoutMs } from "./durations.ts";
import { EndListener } from "./end-listener.ts";
import type { Outcome } from "./entries.ts";
import { InvalidInputError, RunConflictError, UnavailableError } from "./errors.ts";
import { checkEventName } from "./event-names.ts";
import { EventsPosition } from "./events-position.ts";
import { newId } from "./ids.ts";
import {
  checkOptions,
  connectNats,
  type NatsLink,
  type NatsOptions,
} from "./jetstream/connection.ts";
import { unstoredError } from "./jetstream/unstored.ts";
import { startMessage } from "./large-start.ts";
import { type LeaseRecord, readLeases } from "./leases.ts";
import { decodeStart, type Start } from "./messages.ts";
import { checkFields, checkText } from "./option-fields.ts";
import { PayloadReference } from "./payload-reference.ts";
import { Payloads } from "./payloads.ts";
import { setQueueDeadline } from "./queue-deadline.ts";
import { LinkedRun, type RunHandle, type RunHub } from "./run-handle.ts";
import { type ListOptions, listRuns, type RunSummary } from "./run-list.ts";
import { HintPatience } from "./run-results.ts";
import { readView } from "./run-view.ts";
import { validateInput } from "./schema.ts";
import { DEFAULT_NAMESPACE, readSetup } from "./setup.ts";
import { checkName, EVENTS_PREFIX, type Names, type RunAddress } from "./subjects.ts";
import { definitionOf, queueLimitOf } from "./task-definition.ts";
import { type AnyTask, isTask, type Task } from "./task-reference.ts";

export type { RunHandle } from "./run-handle.ts";

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
  /**
   * Lists runs, the newest first. Reads a header for every run of the log.
   * @throws {InvalidInputError} When an option cannot be used.
   */
  list(options?: ListOptions): Promise<RunSummary[]>;
  /**
   * Asks for the same of all runs that a filter selects. Those that cannot be asked are told of in
   * the result.
   * @throws {InvalidInputError} When action, filter or options cannot be used.
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
 * @throws {InvalidInputError} When an option cannot be used, or there are none.
 */
export async function connect(options: ClientOptions): Promise<Client> {
  checkOptions(options, "connect()");
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
  readonly #hub: RunHub;
  readonly #payloads: Payloads;

  constructor(link: NatsLink, names: Names, by: string) {
    this.#link = link;
    this.#names = names;
    this.#by = by;
    this.#ends = new EndListener(link, names);
    this.#payloads = new Payloads(link, { names, clock: link.clock });
    this.#hub = {
      ...{ link, names, by, patience: new HintPatience(link), payloads: this.#payloads },
      begin: async (address, start) => {
        await this.#publishStart(address, start);
      },
    };
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
    checkFields(options, "third argument of start()", ["id", "by", "queueTimeout"]);
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
    checkText(by, "option by of start()");
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
      return this.#handle(address, isOurs ? { end } : {}) as RunHandle<never>;
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
      const what = `The event "${name}"`;
      throw unstoredError(outcome, { what, mayNot: "may not have been stored" });
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
    checkBulk(action, filter, options);
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

  #handle(address: RunAddress, begun?: { readonly end?: Promise<Outcome> }): RunHandle {
    return new LinkedRun(this.#hub, address, begun);
  }

  /** Whether two inputs are equal, either of which may be in the object store. */
  async #isSame(a: unknown, b: unknown): Promise<boolean> {
    const areApart = a instanceof PayloadReference && b instanceof PayloadReference;
    if (areApart && a.digest === b.digest) return true;
    return isDeepStrictEqual(await this.#payloads.fetch(a), await this.#payloads.fetch(b));
  }

  /** @returns Whether this call started the run; else it was running already. */
  async #publishStart(address: RunAddress, given: Start): Promise<boolean> {
    const { prefix, stream } = this.#names.run(address);
    const subject = `${prefix}.token.start`;
    const { start, body } = await startMessage(this.#payloads, address, given);
    const outcome = await this.#link.publisher.guardedPublish(subject, body, { expect: 0 });
    if (outcome.ok) return true;
    const { taskName, runId } = address;
    const what = `Run "${runId}" of task "${taskName}"`;
    if (outcome.kind !== "guard")
      throw unstoredError(
        outcome,
        {
          what,
          mayNot: "may not have been started",
          advice: "Starting it again with the same id is safe.",
        },
        { taskName, runId },
      );
    const found = await this.#link.reader.lastFor(stream, subject, { leader: true });
    if (!found) throw new UnavailableError(`${what} was purged just now. Start it again.`);
    const other = decodeStart(found.data, `${subject}, sequence ${found.sequence}`);
    if (other.nonce === start.nonce) return true;
    const isSame = await this.#isSame(other.input, decodeStart(body, subject).input);
    if (isSame && !other.parent) return false;
    throw new RunConflictError(
      other.parent
        ? `${what} was started as a child of run "${other.parent.runId}". Use another id.`
        : `${what} was started before with another input. Use another id, or the same input.`,
      { taskName, runId },
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
