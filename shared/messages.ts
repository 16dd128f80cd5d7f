/** The messages of a run's log besides its history: start, ready, wait, timer, cancel. */
import { decode, encode, encodeCompact } from "./codec.ts";
import type { LeafCondition } from "./entries.ts";
import { isCount, isLeafCondition, isName, isText, isTexts, isTime } from "./entry-forms.ts";
import { UndecodableError } from "./errors.ts";
import { CHILDREN_PER_RUN } from "./limits.ts";

/** Where the events of a run begin (rules 20 and 23). */
export interface EventPosition {
  /** The run consumes events with a higher sequence only. */
  readonly after: number;
  /** When the events stream was created, as the server tells it: another stream, another count. */
  readonly created: string;
}

/** What ties a child to the run that started it. */
export interface ParentReference {
  readonly taskName: string;
  readonly runId: string;
  /** Sequence of the parent's `start`. */
  readonly startSequence: number;
  /** Key of the parent's operation that started it. */
  readonly key: string;
}

/** The claim token that begins a run. */
export interface Start {
  readonly input: unknown;
  readonly events: EventPosition;
  /** Present for children: their history is `c`. */
  readonly parent?: ParentReference;
  /**
   * Unique to the call that published it, so that a lost reply is settled. `<client>.<number>` also
   * asks the worker that ends the run to tell that client, which saves the client a look at the log.
   */
  readonly nonce: string;
  /** Who started it, for people. */
  readonly by: string;
  /** The run fails when nobody has claimed it so long after this message was stored. */
  readonly queueTimeoutMs?: number;
  /** Present for forks. */
  readonly fork?: ForkOrigin;
}

/** What a fork began with. */
export interface ForkOrigin {
  /** The run of the same task that it was forked from. */
  readonly runId: string;
  /** When the code began, and what its random values come from, as in that run. */
  readonly startedAt: number;
  readonly seed: string;
  readonly reason: string;
  /** Commits as they are stored, without what only concerned the passes of that run. */
  readonly commits: readonly Uint8Array[];
}

/** Says that the time of a run in the queue is over. */
export interface Expiry {
  readonly startSequence: number;
  readonly limitMs: number;
}

/** What a person asks for about a run that stands still: the claim of its token records it. */
export interface Repair {
  readonly by: string;
  readonly reason: string;
  /** Reopens a failed run; these operations are done again. */
  readonly again?: readonly string[];
  /** Gives a step its result. */
  readonly skip?: { readonly key: string; readonly value: unknown };
}

/** Proof that a wait is satisfied, or another reason to look at the run. */
export interface Because {
  /** A time has come. */
  readonly timer?: number;
  /** The lowest matching event of each leaf: operation, leaf, sequence. */
  readonly events?: readonly (readonly [key: string, leaf: number, sequence: number])[];
  /** Children that ended: operation, leaf, positions in the group (0 for a single child). */
  readonly children?: readonly (readonly [
    key: string,
    leaf: number,
    positions: readonly number[],
  ])[];
  /** Sequence of a cancel request. */
  readonly cancel?: number;
  /** Somebody asked to look again; says who. */
  readonly poke?: string;
  /** Somebody repairs the run. */
  readonly repair?: Repair;
}

/** The engine asks to look at a run whose events stream is not the one it began with (rule 23). */
export const EVENTS_REPLACED = "events-replaced";

/**
 * The engine has found that nobody will wake the run (rule 30). Such a token answers the last commit of
 * the run, whatever that is: a waiting one like any other token; else it takes over directly behind it.
 */
export const WAKE_LOST = "wake-lost";

/** A later claim token: it answers one waiting commit and names it (rule 1). */
export interface Ready {
  /** Sequence of the waiting commit. */
  readonly answers: number;
  readonly startSequence: number;
  /** Whether the history is `c`. */
  readonly isChild: boolean;
  readonly because: Because;
}

/** A copy of a small event that a token names, so that whoever claims the run need not read it. */
export interface EnclosedEvent {
  readonly sequence: number;
  readonly name: string;
  /** When it was stored: milliseconds since the epoch, with a fraction. */
  readonly timeMs: number;
  readonly contentType: string;
  /** The payload as it was published. */
  readonly data: Uint8Array;
}

/** A leaf that the engine has to watch. */
export interface WatchedLeaf {
  readonly key: string;
  readonly leaf: number;
  readonly condition: Exclude<LeafCondition, { kind: "sleep" }>;
  /** For a group of children: positions whose ends are recorded already, as ranges [from, to]. */
  readonly recorded?: readonly (readonly [from: number, to: number])[];
}

/** What a run waits for that the engine has to match. Replaces the run's earlier one. */
export interface WaitRegistration {
  /** Sequence of the waiting commit. */
  readonly waitSequence: number;
  readonly startSequence: number;
  readonly isChild: boolean;
  readonly leaves: readonly WatchedLeaf[];
  /** Sequences of events this run has consumed that are above the lowest `after` of its leaves. */
  readonly consumed: readonly number[];
  /** How long the last pass took: wake-ups for children come no more often (rule 19). */
  readonly passMs: number;
  /** Which events stream the run began with, as in its start; present when it waits for events. */
  readonly eventsCreated?: string;
}

/** A request to cancel. */
export interface CancelRequest {
  readonly startSequence: number;
  readonly by: string;
  readonly reason: string;
  /** Ends the run without asking its code: no cleanup, no undos. */
  readonly isTermination: boolean;
}

/** Writes a start. @throws {InvalidInputError} When the input cannot be stored. */
export function encodeStart(start: Start): Uint8Array {
  const parent = start.parent
    ? [start.parent.taskName, start.parent.runId, start.parent.startSequence, start.parent.key]
    : null;
  const { input, events, nonce, by, queueTimeoutMs, fork } = start;
  const body = [input, events.after, events.created, parent, nonce, by];
  if (queueTimeoutMs !== undefined || fork) body.push(queueTimeoutMs ?? null);
  if (fork) body.push([fork.runId, fork.startedAt, fork.seed, fork.reason, fork.commits]);
  return encode(body, "input");
}

/** Reads a start. @throws {UndecodableError} When it is none. */
export function decodeStart(message: Uint8Array, where: string): Start {
  const [input, after, created, parent, nonce, by, queue, fork] = fields(message, where);
  const queueTimeoutMs = queue ?? undefined;
  const isForm = isCount(after) && isText(created) && isText(nonce) && isText(by);
  if (!isForm || (queueTimeoutMs !== undefined && !isCount(queueTimeoutMs)))
    throw unreadable("start", where);
  const origin = fork === undefined ? {} : { fork: decodeOrigin(fork, where) };
  const common = { input, events: { after, created }, nonce, by, ...origin };
  const start = (queueTimeoutMs === undefined ? common : { ...common, queueTimeoutMs }) as Start;
  if (parent === null) return start;
  if (!Array.isArray(parent)) throw unreadable("start", where);
  const [taskName, runId, startSequence, key] = parent as unknown[];
  if (!isName(taskName) || !isName(runId) || !isCount(startSequence) || !isText(key))
    throw unreadable("start", where);
  return { ...start, parent: { taskName, runId, startSequence, key } as ParentReference };
}

function decodeOrigin(value: unknown, where: string): ForkOrigin {
  const [runId, startedAt, seed, reason, commits] = Array.isArray(value)
    ? (value as unknown[])
    : [];
  const isForm = isName(runId) && isTime(startedAt) && isText(seed) && isText(reason);
  if (!isForm || !isListOf(commits, (item) => item instanceof Uint8Array))
    throw unreadable("start", where);
  return { runId, startedAt, seed, reason, commits } as ForkOrigin;
}

/**
 * Writes a ready token.
 * @param enclosed Copies of events that it names; the log of events stays the truth.
 */
export function encodeReady(ready: Ready, enclosed: readonly EnclosedEvent[] = []): Uint8Array {
  const { answers, startSequence, isChild, because } = ready;
  const body: unknown[] = [answers, startSequence, isChild, because];
  if (enclosed.length > 0)
    body.push(enclosed.map((e) => [e.sequence, e.name, e.timeMs, e.contentType, e.data]));
  return encode(body, "token");
}

/** Reads a ready token. @throws {UndecodableError} When it is none. */
export function decodeReady(message: Uint8Array, where: string): Ready {
  const [answers, startSequence, isChild, because] = fields(message, where);
  if (
    !isCount(answers) ||
    !isCount(startSequence) ||
    typeof isChild !== "boolean" ||
    !isBecause(because)
  )
    throw unreadable("ready token", where);
  return { answers, startSequence, isChild, because } as Ready;
}

/**
 * The copies of events in a ready token. Those that cannot be read are left out: they are read where
 * they are stored.
 * @throws {UndecodableError} When it is no message of ours.
 */
export function decodeEnclosed(message: Uint8Array, where: string): EnclosedEvent[] {
  const rows = fields(message, where)[4];
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: unknown): EnclosedEvent[] => {
    const [sequence, name, timeMs, contentType, data] = Array.isArray(row)
      ? (row as unknown[])
      : [];
    const isForm = isCount(sequence) && isText(name) && isTime(timeMs) && isText(contentType);
    if (!isForm || !(data instanceof Uint8Array)) return [];
    return [{ sequence, name, timeMs, contentType, data } as EnclosedEvent];
  });
}

function isBecause(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { timer, events, children, cancel, poke, repair } = value as Fields;
  return (
    (timer === undefined || isTime(timer)) &&
    (events === undefined || isListOf(events, isNamedEvent)) &&
    (children === undefined || isListOf(children, areNamedChildren)) &&
    (cancel === undefined || isCount(cancel)) &&
    (poke === undefined || isText(poke)) &&
    (repair === undefined || isRepair(repair))
  );
}

type Fields = { readonly [field: string]: unknown };

function isRepair(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { by, reason, again, skip } = value as Fields;
  return (
    isText(by) &&
    isText(reason) &&
    (again === undefined || isTexts(again)) &&
    (skip === undefined ||
      (typeof skip === "object" && skip !== null && isText((skip as Fields)["key"])))
  );
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isNamedEvent(value: unknown): boolean {
  return Array.isArray(value) && isText(value[0]) && isCount(value[1]) && isCount(value[2]);
}

function areNamedChildren(value: unknown): boolean {
  return (
    Array.isArray(value) && isText(value[0]) && isCount(value[1]) && isListOf(value[2], isCount)
  );
}

/** Writes a registration. */
export function encodeWait(wait: WaitRegistration): Uint8Array {
  const { waitSequence, startSequence, isChild, leaves, consumed, passMs, eventsCreated } = wait;
  const rows = leaves.map((leaf) => [leaf.key, leaf.leaf, leaf.condition, leaf.recorded ?? []]);
  const body: unknown[] = [waitSequence, startSequence, isChild, rows, consumed, passMs];
  if (eventsCreated !== undefined) body.push(eventsCreated);
  return encodeCompact(body, "wait");
}

/** Reads a registration. @throws {UndecodableError} When it is none. */
export function decodeWait(message: Uint8Array, where: string): WaitRegistration {
  const body = fields(message, where);
  const [waitSequence, startSequence, isChild, rows, consumed, passMs, eventsCreated] = body;
  if (
    !isCount(waitSequence) ||
    !isCount(startSequence) ||
    typeof isChild !== "boolean" ||
    !Array.isArray(rows) ||
    !isListOf(consumed, isCount) ||
    !isTime(passMs) ||
    (eventsCreated !== undefined && !isText(eventsCreated))
  )
    throw unreadable("wait", where);
  const leaves = rows.map((row: unknown): WatchedLeaf => {
    const [key, leaf, condition, recorded] = Array.isArray(row) ? (row as unknown[]) : [];
    if (
      !isText(key) ||
      !isCount(leaf) ||
      !isLeafCondition(condition) ||
      (condition as LeafCondition).kind === "sleep" ||
      !areRanges(recorded)
    )
      throw unreadable("wait", where);
    return { key, leaf, condition, recorded } as WatchedLeaf;
  });
  // The engine has a place for every child, so that more of them than a run may have must not pass.
  const children = leaves.reduce((sum, { condition }) => sum + childrenOf(condition), 0);
  if (children > CHILDREN_PER_RUN) throw unreadable("wait", where);
  const wait = { waitSequence, startSequence, isChild, leaves, consumed, passMs };
  return (eventsCreated === undefined ? wait : { ...wait, eventsCreated }) as WaitRegistration;
}

/** Positions of children as ranges, in order and apart from each other: each is walked through. */
function areRanges(value: unknown): boolean {
  let behind = 0;
  return isListOf(value, (range) => {
    if (!Array.isArray(range) || !isCount(range[0]) || !isCount(range[1])) return false;
    const [from, to] = range as [number, number];
    const isInOrder = from >= behind && to >= from && to < CHILDREN_PER_RUN;
    behind = to + 1;
    return isInOrder;
  });
}

function childrenOf(condition: LeafCondition): number {
  return condition.kind === "children" ? condition.count : 0;
}

/** Writes what a run's deadline says when it is over. */
export function encodeExpiry({ startSequence, limitMs }: Expiry): Uint8Array {
  return encode([startSequence, limitMs], "expiry");
}

/** Reads what a run's deadline says. @throws {UndecodableError} When it is none. */
export function decodeExpiry(message: Uint8Array, where: string): Expiry {
  const [startSequence, limitMs] = fields(message, where);
  if (!isCount(startSequence) || !isCount(limitMs)) throw unreadable("expiry", where);
  return { startSequence, limitMs } as Expiry;
}

/** Writes a request to cancel. */
export function encodeCancel(cancel: CancelRequest): Uint8Array {
  const { startSequence, by, reason, isTermination } = cancel;
  return encode([startSequence, by, reason, isTermination], "cancel request");
}

/** Reads a request to cancel. @throws {UndecodableError} When it is none. */
export function decodeCancel(message: Uint8Array, where: string): CancelRequest {
  const [startSequence, by, reason, isTermination] = fields(message, where);
  if (!isCount(startSequence) || !isText(by) || !isText(reason))
    throw unreadable("cancel request", where);
  return { startSequence, by, reason, isTermination: isTermination === true } as CancelRequest;
}

function fields(message: Uint8Array, where: string): unknown[] {
  const body = decode(message, where);
  if (!Array.isArray(body)) throw unreadable("message of a run's log", where);
  return body;
}

function unreadable(what: string, where: string): UndecodableError {
  return new UndecodableError(`The message at ${where} is not a ${what}.`);
}
