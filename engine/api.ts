/**
 * The door for callers in any language: a NATS micro service with JSON in and out, over the public
 * client. Endpoints are `<ns>.api.start.<task>` and so on; `nats micro info contrail` lists them.
 */
import type { Client } from "../shared/client.ts";
import type { Clock } from "../shared/clock.ts";
import { describe } from "../shared/describe.ts";
import {
  ContrailError,
  InvalidInputError,
  RunCanceledError,
  RunFailedError,
  TimeoutError,
  UndecodableError,
} from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { toJson } from "../shared/json.ts";
import type { LogSink } from "../shared/logger.ts";
import { checkStatus } from "../shared/run-status.ts";
import { decodeToken, type Names } from "../shared/subjects.ts";
import {
  MicroService,
  type ServiceEndpoint,
  ServiceFailure,
  type ServiceRequest,
} from "./micro-service.ts";
import { VERSION } from "./version.ts";

/** What the door needs. */
export interface ApiOptions {
  readonly link: NatsLink;
  readonly names: Names;
  readonly client: Pick<Client, "start" | "get" | "list">;
  readonly clock: Clock;
  readonly log: LogSink;
  /** Name of the engine, for people. */
  readonly name: string;
}

/** How long `result` waits unless the caller says otherwise, and at most. */
const RESULT_TIMEOUT_MS = 30_000;
const LONGEST_RESULT_TIMEOUT_MS = 3_600_000;
const LONGEST_LIST = 10_000;

/** The status of an error, in the way of HTTP. */
const STATUS_OF: Readonly<Record<string, number>> = {
  "invalid-input": 400,
  undecodable: 400,
  "run-not-found": 404,
  timeout: 408,
  "run-conflict": 409,
  "repair-refused": 409,
  "limit-exceeded": 413,
  unavailable: 503,
  "incompatible-setup": 503,
};

/** What a caller sends: a JSON object, or nothing. */
type Fields = Readonly<Record<string, unknown>>;

/** The service that answers for one engine. Any number of engines may offer it. */
export function apiService(options: ApiOptions): MicroService {
  const { link, names, clock, log, name } = options;
  const { namespace, apiPrefix } = names;
  const handlers = new ApiHandlers(options);
  return new MicroService({
    link,
    clock,
    log,
    name: namespace,
    version: VERSION,
    description: `Contrail: starts and shows runs of namespace ${namespace}`,
    metadata: { namespace, engine: name },
    endpoints: [
      endpoint(
        "start",
        `${apiPrefix}.start.>`,
        '{"input": ..., "id"?: text, "queueTimeout"?: duration}',
        (task, fields) => handlers.start(task, fields),
      ),
      endpoint("get", `${apiPrefix}.get.>`, '{"id": text}', (task, fields) =>
        handlers.get(task, fields),
      ),
      endpoint(
        "result",
        `${apiPrefix}.result.>`,
        '{"id": text, "timeoutMs"?: number}',
        (task, fields, signal) => handlers.result(task, fields, signal),
      ),
      endpoint("cancel", `${apiPrefix}.cancel.>`, '{"id": text, "reason"?: text}', (task, fields) =>
        handlers.cancel(task, fields),
      ),
      endpoint("resume", `${apiPrefix}.resume.>`, '{"id": text, "reason"?: text}', (task, fields) =>
        handlers.resume(task, fields),
      ),
      endpoint(
        "retry",
        `${apiPrefix}.retry.>`,
        '{"id": text, "from"?: text, "reason"?: text}',
        (task, fields) => handlers.retry(task, fields),
      ),
      endpoint(
        "fork",
        `${apiPrefix}.fork.>`,
        '{"id": text, "newId"?: text, "entries"?: number, "input"?: ..., "results"?: object, "reason"?: text}',
        (task, fields) => handlers.fork(task, fields),
      ),
      endpoint(
        "skip",
        `${apiPrefix}.skip.>`,
        '{"id": text, "step": text, "result"?: ..., "reason"?: text}',
        (task, fields) => handlers.skip(task, fields),
      ),
      endpoint(
        "list",
        `${apiPrefix}.list`,
        '{"task"?: text, "status"?: text, "limit"?: number}',
        (_task, fields) => handlers.list(fields),
      ),
    ],
  });
}

type Handler = (task: string, fields: Fields, signal: AbortSignal) => Promise<unknown>;

function endpoint(
  name: string,
  subject: string,
  request: string,
  handler: Handler,
): ServiceEndpoint {
  const prefix = subject.endsWith(">") ? subject.length - 1 : subject.length;
  return {
    name,
    subject,
    metadata: { request },
    handle: async (incoming) => {
      try {
        const fields = readFields(incoming);
        const task = taskNameIn(incoming.subject.slice(prefix));
        return Buffer.from(toJson(await handler(task, fields, incoming.signal)));
      } catch (error) {
        return failureOf(error);
      }
    },
  };
}

class ApiHandlers {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  async start(task: string, fields: Fields): Promise<unknown> {
    const id = optionalText(fields, "id");
    const queueTimeout = optionalText(fields, "queueTimeout");
    const options = {
      by: "api",
      ...(id === undefined ? {} : { id }),
      ...(queueTimeout === undefined ? {} : { queueTimeout }),
    };
    const run = await this.#options.client.start(task, fields["input"], options);
    return { task, id: run.runId };
  }

  async get(task: string, fields: Fields): Promise<unknown> {
    const view = await this.#options.client.get(task, text(fields, "id")).view();
    const { state } = view;
    return {
      task,
      id: view.runId,
      status: state.status,
      input: view.input,
      startedAt: instant(view.startedAt),
      startedBy: view.startedBy,
      changedAt: instant(state.changedAt),
      ...(view.parent ? { parent: { task: view.parent.taskName, id: view.parent.runId } } : {}),
      ...(state.paused ? { paused: state.paused } : {}),
      ...(state.outcome ?? {}),
    };
  }

  /** A run that failed is a result too: its status says so. */
  async result(task: string, fields: Fields, signal: AbortSignal): Promise<unknown> {
    const id = text(fields, "id");
    const timeoutMs =
      optionalNumber(fields, "timeoutMs", LONGEST_RESULT_TIMEOUT_MS) ?? RESULT_TIMEOUT_MS;
    const over = new AbortController();
    const ending = AbortSignal.any([over.signal, signal]);
    const waiting = this.#options.client.get(task, id).result({ signal: ending });
    const timer = pause(this.#options.clock, timeoutMs, ending).then(() => {
      if (!ending.aborted) over.abort(stillRuns(task, id, timeoutMs));
    });
    try {
      return { task, id, status: "completed", output: await waiting };
    } catch (error) {
      if (error instanceof RunFailedError)
        return { task, id, status: "failed", error: toFailure(error.cause ?? error) };
      if (error instanceof RunCanceledError)
        return { task, id, status: "canceled", error: toFailure(error.cause ?? error) };
      if (signal.aborted) throw new TimeoutError("The engine is closing. Ask again.");
      throw error;
    } finally {
      over.abort();
      await timer;
    }
  }

  async cancel(task: string, fields: Fields): Promise<unknown> {
    const id = text(fields, "id");
    await this.#options.client.get(task, id).cancel(optionalText(fields, "reason"));
    return { task, id };
  }

  async resume(task: string, fields: Fields): Promise<unknown> {
    const id = text(fields, "id");
    await this.#options.client.get(task, id).resume(reasonIn(fields));
    return { task, id };
  }

  async retry(task: string, fields: Fields): Promise<unknown> {
    const id = text(fields, "id");
    const from = optionalText(fields, "from");
    const options = { ...reasonIn(fields), ...(from === undefined ? {} : { from }) };
    await this.#options.client.get(task, id).retry(options);
    return { task, id };
  }

  async fork(task: string, fields: Fields): Promise<unknown> {
    const newId = optionalText(fields, "newId");
    const entries = optionalNumber(fields, "entries", Number.MAX_SAFE_INTEGER);
    const { results = {} } = fields;
    if (typeof results !== "object" || results === null)
      throw wrong("results", results, "an object");
    const run = await this.#options.client.get(task, text(fields, "id")).fork({
      ...reasonIn(fields),
      results: results as Fields,
      ...(newId === undefined ? {} : { id: newId }),
      ...(entries === undefined ? {} : { entries }),
      ...("input" in fields ? { input: fields["input"] } : {}),
    });
    return { task, id: run.runId };
  }

  async skip(task: string, fields: Fields): Promise<unknown> {
    const id = text(fields, "id");
    const run = this.#options.client.get(task, id);
    await run.skip(text(fields, "step"), fields["result"] ?? null, reasonIn(fields));
    return { task, id };
  }

  async list(fields: Fields): Promise<unknown> {
    const taskName = optionalText(fields, "task");
    const status = optionalText(fields, "status");
    if (status !== undefined) checkStatus(status);
    const limit = optionalNumber(fields, "limit", LONGEST_LIST);
    const runs = await this.#options.client.list({
      ...(taskName === undefined ? {} : { taskName }),
      ...(status === undefined ? {} : { status }),
      ...(limit === undefined ? {} : { limit }),
    });
    return {
      runs: runs.map((run) => ({
        task: run.taskName,
        id: run.runId,
        status: run.status,
        startedAt: instant(run.startedAt),
        changedAt: instant(run.changedAt),
        isChild: run.isChild,
      })),
    };
  }
}

function reasonIn(fields: Fields): { readonly reason?: string } {
  const reason = optionalText(fields, "reason");
  return reason === undefined ? {} : { reason };
}

function stillRuns(task: string, id: string, timeoutMs: number): TimeoutError {
  return new TimeoutError(
    `Run "${id}" of task "${task}" has not ended within ${timeoutMs} ms. It goes on: ask again.`,
    { taskName: task, runId: id },
  );
}

/** A task's name as a caller may write it: encoded as in the log's subjects, or plain. */
function taskNameIn(tokens: string): string {
  try {
    return decodeToken(tokens);
  } catch (error) {
    if (error instanceof UndecodableError) return tokens;
    throw error;
  }
}

function readFields({ data, subject }: ServiceRequest): Fields {
  if (data.length === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(Buffer.from(data).toString("utf8"));
  } catch (cause) {
    throw new InvalidInputError(`The request to ${subject} is not JSON.`, { cause });
  }
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new InvalidInputError(
      `The request to ${subject} is ${describe(body)}. Expected a JSON object, such as {"id":"order-42"}.`,
    );
  return body as Fields;
}

function text(fields: Fields, name: string): string {
  const value = optionalText(fields, name);
  if (value === undefined) throw wrong(name, undefined, "a text");
  return value;
}

function optionalText(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === "string") return value;
  throw wrong(name, value, "a text");
}

function optionalNumber(fields: Fields, name: string, to: number): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= to)
    return value;
  throw wrong(name, value, `a whole number from 0 to ${to}`);
}

function wrong(name: string, value: unknown, expected: string): InvalidInputError {
  const found = value === undefined ? "missing" : describe(value);
  return new InvalidInputError(`The field "${name}" is ${found}. Expected ${expected}.`, { value });
}

function failureOf(error: unknown): ServiceFailure {
  if (!(error instanceof ContrailError)) throw error;
  const { code, message } = error;
  const body = Buffer.from(JSON.stringify({ code, message }));
  return new ServiceFailure(STATUS_OF[code] ?? 500, message, body);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
