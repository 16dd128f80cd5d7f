/**
 * A run's history as a text: one JSON object for one run, exported in one place and read in another,
 * perhaps by a later version. What is stored is in it as it is stored, in base64; beside it stands
 * the same as JSON, for people and other programs, which is not read back.
 */
import { decode, encode } from "./codec.ts";
import { decodeCommit, encodeCommit, type StoredCommit } from "./entries.ts";
import { isCount, isText, isTime } from "./entry-forms.ts";
import { UndecodableError } from "./errors.ts";
import { toJson } from "./json.ts";
import type { ParentReference } from "./messages.ts";

/** What a history holds: all that a replay needs to know of a run. */
export interface History {
  readonly taskName: string;
  readonly runId: string;
  readonly input: unknown;
  /** In milliseconds since the epoch. */
  readonly startedAt: number;
  readonly startedBy: string;
  readonly startSequence: number;
  readonly parent?: ParentReference;
  /** Of a run that was forked: what its time and its random values go on from. */
  readonly fork?: { readonly seed: string; readonly startedAt: number };
  readonly commits: readonly StoredCommit[];
}

/** What the field `format` of every such text says. Another format gets another number. */
const FORMAT = "contrail-history/1";

/** Writes the history of a run, or its view, as the text of a file. Ends with a line break. */
export function historyText(history: History): string {
  const { taskName, runId, input, startedAt, startedBy, startSequence, parent, fork } = history;
  const shown = (value: unknown): unknown => JSON.parse(toJson(value));
  const file = {
    format: FORMAT,
    taskName,
    runId,
    startedAt,
    startedBy,
    startSequence,
    ...(parent ? { parent: shown(parent) } : {}),
    ...(fork ? { fork } : {}),
    input: { shown: shown(input), stored: base64(encode(input, "input")) },
    commits: history.commits.map((commit) => ({
      sequence: commit.sequence,
      at: new Date(commit.time).toISOString(),
      entries: shown(commit.entries),
      stored: base64(encodeCommit(commit, `commit ${commit.sequence}`)),
    })),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/**
 * Reads the text of such a file.
 * @param where Names the file in errors.
 * @throws {UndecodableError} When it is no history, or one of a format that this version cannot read.
 */
export function parseHistory(text: string, where: string): History {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw notOne(where, `it is not JSON: ${(cause as Error).message}`, cause);
  }
  if (!isObject(file)) throw notOne(where, "it is no object");
  const { format, taskName, runId, input, startedAt, startedBy, startSequence, parent } = file;
  const { fork, commits } = file;
  if (format !== FORMAT)
    throw notOne(
      where,
      `its format is ${JSON.stringify(format) ?? "not given"}, expected "${FORMAT}"`,
    );
  if (
    !isText(taskName) ||
    !isText(runId) ||
    !isTime(startedAt) ||
    !isText(startedBy) ||
    !isCount(startSequence) ||
    !(parent === undefined || isParent(parent)) ||
    !(fork === undefined || isFork(fork)) ||
    !isObject(input) ||
    !Array.isArray(commits)
  )
    throw notOne(where, "a field of the run is missing or not as it has to be");
  return {
    ...({ taskName, runId, startedAt, startedBy, startSequence } as History),
    ...(parent ? { parent: parent as ParentReference } : {}),
    ...(fork ? { fork } : {}),
    input: decode(bytes(input["stored"], where), where),
    commits: commits.map((commit: unknown) => storedCommit(commit, where)),
  };
}

function storedCommit(commit: unknown, where: string): StoredCommit {
  if (!isObject(commit) || !isCount(commit["sequence"])) throw notOne(where, "a commit is missing");
  const sequence = commit["sequence"] as number;
  return decodeCommit(bytes(commit["stored"], where), sequence, `${where}, sequence ${sequence}`);
}

function isParent(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value["taskName"]) &&
    isText(value["runId"]) &&
    isCount(value["startSequence"]) &&
    isText(value["key"])
  );
}

function isFork(value: unknown): value is NonNullable<History["fork"]> {
  return isObject(value) && isText(value["seed"]) && isTime(value["startedAt"]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function base64(stored: Uint8Array): string {
  return Buffer.from(stored).toString("base64");
}

function bytes(text: unknown, where: string): Uint8Array {
  if (typeof text !== "string") throw notOne(where, "stored bytes are missing");
  return Uint8Array.from(Buffer.from(text, "base64"));
}

function notOne(where: string, problem: string, cause?: unknown): UndecodableError {
  return new UndecodableError(
    `${where} is not a history that this version of Contrail can read: ${problem}. "contrail export" writes such files.`,
    { cause },
  );
}
