/** The JSON API of the servers: streams, consumers, messages from a stream's leader. */
import type { ApiError } from "@nats-io/jetstream";
import { UnavailableError } from "../errors.ts";
import type { Requests } from "./requests.ts";

export type { ApiError, ClusterInfo, ConsumerInfo, StreamInfo } from "@nats-io/jetstream";

/** A reply of the API: what the official client's types say, as far as it is there, or an error. */
export type ApiAnswer<Fields = Record<string, unknown>> = Readonly<Partial<Fields>> & {
  readonly error?: ApiError;
};

/** How long to ask, and what may end it. */
export interface ApiOptions {
  /** Default 12,000. */
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

/** JetStream is off, for the account or for the whole server: not a passing state. */
export const NOT_ENABLED: readonly number[] = [10039, 10076];
const UNAVAILABLE = 503;
/** "raft: not leader" and the like; also "stream offline", which may end. */
const SERVER_ERROR = 500;

/**
 * Sends one request and returns the answer, also when it is an error that the same request would
 * meet again. It may be sent several times, so it must be safe to repeat.
 * @throws {UnavailableError} When no server answers, or only with passing errors.
 */
export async function callApi<Fields = Record<string, unknown>>(
  requests: Requests,
  subject: string,
  body: object | undefined,
  options: ApiOptions = {},
): Promise<ApiAnswer<Fields>> {
  let answer: ApiAnswer<unknown> = {};
  const asked = requests.ask({
    ...options,
    subject: `$JS.API.${subject}`,
    payload: body === undefined ? "" : JSON.stringify(body),
    what: subject,
    receive: (reply) => {
      answer = parse(subject, reply.data);
      const error = errorOf(answer);
      if (error === undefined || NOT_ENABLED.includes(error.err_code)) return "done";
      return error.code === UNAVAILABLE || error.code === SERVER_ERROR ? "again" : "done";
    },
  });
  await asked.catch((cause: unknown) => {
    const error = errorOf(answer);
    if (error === undefined || !(cause instanceof UnavailableError)) throw cause;
    const { err_code: errorCode, description } = error;
    const message = `${cause.message} It said "${description}" (${errorCode}).`;
    throw new UnavailableError(message, { cause, errorCode });
  });
  return answer as ApiAnswer<Fields>;
}

/** The error in an answer, if it is one. */
export function errorOf(answer: ApiAnswer<unknown>): ApiError | undefined {
  return answer.error;
}

/** Whether the answer says that what was asked for does not exist. */
export function isMissing(answer: ApiAnswer<unknown>): boolean {
  return errorOf(answer)?.code === 404;
}

function parse(subject: string, data: Uint8Array): ApiAnswer<unknown> {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8");
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw new UnavailableError(`The answer to ${subject} is not JSON: ${text.slice(0, 80)}`, {
      cause,
    });
  }
  if (!isAnswer(answer))
    throw new UnavailableError(`The answer to ${subject} is none: ${text.slice(0, 80)}`);
  return answer;
}

/** Nobody but a server answers as it does, but others may listen where it does. */
function isAnswer(answer: unknown): answer is ApiAnswer<unknown> {
  if (typeof answer !== "object" || answer === null) return false;
  const { error } = answer as { readonly error?: unknown };
  return error === undefined || (typeof error === "object" && error !== null);
}
