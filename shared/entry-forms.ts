/**
 * Whether what was decoded has the form of an entry's field. What is in a log was written by this
 * version, by another one, or by anybody who may publish there, so nothing is taken for granted that
 * the fold or an adapter relies on.
 */
import { CHILDREN_PER_RUN, NAME_BYTES } from "./limits.ts";

/** Says whether a decoded value has a form. */
export type Form = (value: unknown) => boolean;

/** The instants that a Date can tell end here, in milliseconds before and after the epoch. */
const LAST_INSTANT_MS = 8.64e15;

type Fields = { readonly [field: string]: unknown };

export const isText: Form = (value) => typeof value === "string";

/** A sequence of a stream, a position or a number of things. */
export const isCount: Form = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

/** An instant or a length of time in milliseconds, perhaps with a fraction. */
export const isTime: Form = (value) =>
  typeof value === "number" && Math.abs(value) <= LAST_INSTANT_MS;

/** A name as it can be in a subject. */
export const isName: Form = (value) =>
  typeof value === "string" && value !== "" && value.length <= NAME_BYTES;

export const isTexts: Form = (value) => Array.isArray(value) && value.every(isText);

export const isCounts: Form = (value) => Array.isArray(value) && value.every(isCount);

/** A recorded failure, down to its causes. */
export const isFailure: Form = (value) =>
  isObject(value) &&
  isText(value.name) &&
  isText(value.message) &&
  (value.stack === undefined || isText(value.stack)) &&
  (value.code === undefined || isText(value.code)) &&
  (value.exceeded === undefined || isExceeded(value.exceeded)) &&
  (value.cause === undefined || isFailure(value.cause));

const isExceeded: Form = (value) =>
  isObject(value) &&
  isText(value.limitName) &&
  typeof value.limit === "number" &&
  (value.actual === undefined || typeof value.actual === "number");

/** How a run ended. */
export const isOutcome: Form = (value) => {
  if (!isObject(value)) return false;
  if (value.status === "completed") return true;
  return (value.status === "failed" || value.status === "canceled") && isFailure(value.error);
};

/** What happened to a leaf of a wait. */
export const isLeafOutcome: Form = (value) => {
  if (!isObject(value)) return false;
  switch (value.kind) {
    case "sleep":
      return true;
    case "event":
      return (
        isText(value.name) &&
        isCount(value.sequence) &&
        isTime(value.publishedAt) &&
        (value.error === undefined || isFailure(value.error))
      );
    case "child":
      return isText(value.taskName) && isText(value.runId) && isOutcome(value.outcome);
    case "children":
      return Array.isArray(value.ended) && value.ended.every(isEndedChild);
    default:
      return false;
  }
};

/** By its position in its group: a list of outputs is made of them. */
const isEndedChild: Form = (value) =>
  Array.isArray(value) &&
  isCount(value[0]) &&
  (value[0] as number) < CHILDREN_PER_RUN &&
  isOutcome(value[1]);

/** A condition as it is stored. */
export const isCondition: Form = (value) => {
  if (!isObject(value)) return false;
  if (value.kind !== "anyOf" && value.kind !== "allOf") return isLeafCondition(value);
  return Array.isArray(value.of) && value.of.every(isPart);
};

const isPart: Form = (value) =>
  Array.isArray(value) && (isText(value[0]) || isCount(value[0])) && isCondition(value[1]);

/** A leaf of a condition as it is stored. */
export const isLeafCondition: Form = (value) => {
  if (!isObject(value)) return false;
  switch (value.kind) {
    case "sleep":
      return isTime(value.dueAt);
    case "event":
      return (
        isText(value.name) &&
        isCount(value.after) &&
        (value.where === undefined || (isObject(value.where) && isJson(value.where)))
      );
    case "child":
      return isName(value.taskName) && isName(value.runId);
    case "children":
      return (
        isName(value.taskName) &&
        isCount(value.first) &&
        isCount(value.count) &&
        (value.count as number) <= CHILDREN_PER_RUN
      );
    default:
      return false;
  }
};

/**
 * What JSON has a form for, as a filter that was accepted is. Filters are compared by their JSON, which
 * fails for a big integer and takes two maps for one.
 */
function isJson(value: unknown): boolean {
  if (typeof value !== "object") return typeof value !== "bigint" && value !== undefined;
  if (value === null) return true;
  if (Array.isArray(value)) return value.every(isJson);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
