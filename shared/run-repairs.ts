/**
 * Asks for repairs of runs: each is one token, stored only if the run still stands where it was
 * looked at. So there is nothing half done, and asking again is safe.
 */
import { isDeepStrictEqual } from "node:util";
import { decode, encode } from "./codec.ts";
import { LimitExceededError, RepairRefusedError, UnavailableError } from "./errors.ts";
import { copyHistory } from "./forks.ts";
import { pause } from "./jetstream/backoff.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { unstoredError } from "./jetstream/unstored.ts";
import { decodeStart, encodeReady, type Repair, type Start } from "./messages.ts";
import { checkFields, checkText } from "./option-fields.ts";
import { PayloadReference } from "./payload-reference.ts";
import type { Payloads } from "./payloads.ts";
import { type Asker, checkKept, nameOfRepair, planResume, planRetry, planSkip } from "./repairs.ts";
import { notFound } from "./run-results.ts";
import { type RunView, readView } from "./run-view.ts";
import type { Names, RunAddress } from "./subjects.ts";
import { copiedPayloads } from "./whole-history.ts";

/** How to repair a run. */
export interface RepairOptions {
  /** Why; the history says so. */
  readonly reason?: string;
}

/** How to retry a failed run. */
export interface RetryOptions extends RepairOptions {
  /**
   * The name, or the key in the history, of the step or wait to go back to.
   * @defaultValue The one whose failure ended the run, or the run's end when it failed by itself.
   */
  readonly from?: string;
}

/** How to fork a run. */
export interface ForkOptions extends RepairOptions {
  /** Id of the new run. @defaultValue A new random id. */
  readonly id?: string;
  /**
   * So many entries of the history are kept: those up to the one with this number in `timelineOf`
   * and `contrail show`. 0 keeps none.
   * @defaultValue All before the end, or before it was canceled; of a failed run what a retry keeps.
   */
  readonly entries?: number;
  /** Another input. The recorded results stay as they are. */
  readonly input?: unknown;
  /** Other results of steps, by their names or by their keys in the history. */
  readonly results?: Readonly<Record<string, unknown>>;
}

/** What can be asked for about a run that stands still. */
export interface RunRepairs {
  /**
   * Lets a paused run go on, and returns when that is stored. A worker takes it up from its last
   * checkpoint.
   * @throws {RepairRefusedError} When it is not paused.
   */
  resume(options?: RepairOptions): Promise<void>;
  /**
   * Reopens a failed run under its id: it goes on from the step that failed it, with new attempts. The
   * results before are kept. Steps that were undone are done again. A parent that has recorded the
   * failure keeps it.
   * @throws {RepairRefusedError} When it has not failed, or is asked to be canceled.
   */
  retry(options?: RetryOptions): Promise<void>;
  /**
   * Gives a step a result instead of executing it, of a run that is paused, waits, or has failed,
   * which reopens it.
   * @param step Its name, or its key in the history, such as `s1 charge card` for the second of that
   * name.
   * @throws {RepairRefusedError} When the step has a result, or the run is at work or has completed.
   * @throws {InvalidInputError} When the result cannot be stored.
   */
  skip(step: string, result?: unknown, options?: RepairOptions): Promise<void>;
}

/** What asking for repairs needs. */
export interface RepairHub {
  readonly link: NatsLink;
  readonly names: Names;
  readonly payloads: Payloads;
  /** Who asks, for people who look at the history. */
  readonly by: string;
}

/** How often a run that goes on meanwhile, or of which an old replica told, is looked at again. */
const LOOKS = 20;
const LOOK_AGAIN_MS = 50;
/** What the commit that records a repair takes besides it. */
const FRAME_BYTES = 4_096;

/**
 * The repairs of one run.
 * @param onAsked Called with the sequence of the commit that a repair answers, when it is asked for.
 */
export function runRepairs(
  { link, names, payloads, by }: RepairHub,
  address: RunAddress,
  onAsked: (answers: number) => void,
): RunRepairs {
  const ask = async (
    { reason = "" }: RepairOptions,
    plan: (view: RunView, asker: Asker) => Repair,
  ): Promise<void> => {
    checkText(reason, "reason");
    const asker = { by, reason };
    onAsked(await askForRepair(link, names, address, (view) => plan(view, asker)));
  };
  return {
    resume: (options = {}) => ask(options, planResume),
    retry: (options = {}) => ask(options, (view, asker) => planRetry(view, asker, options.from)),
    skip: async (step, result, options = {}) => {
      const value = await payloads.stow(result, { run: address }, `result of step "${step}"`);
      return ask(options, (view, asker) => planSkip(view, asker, step, value));
    },
  };
}

/**
 * Asks for a repair of one run.
 * @param plan Says what to ask for, by what the log says now. May be called again.
 * @returns Sequence of the commit that the repair answers.
 * @throws {RepairRefusedError} When the plan refuses, or somebody else has asked for another repair.
 * @throws {UnavailableError} When it may not have been stored.
 */
async function askForRepair(
  link: NatsLink,
  names: Names,
  address: RunAddress,
  plan: (view: RunView) => Repair,
): Promise<number> {
  for (let look = 1; ; look++) {
    const view = await readView(link, names, address);
    let repair: Repair;
    try {
      checkKept(view);
      repair = plan(view);
    } catch (error) {
      // A replica may be behind what the caller has seen.
      if (!(error instanceof RepairRefusedError) || (await isNewest(link, names, view)))
        throw error;
      await pause(link.clock, LOOK_AGAIN_MS);
      continue;
    }
    if (isAskedFor(view, repair) || (await publish(link, names, view, repair)))
      return view.state.tail;
    if (look === LOOKS)
      throw new UnavailableError(
        `Run "${address.runId}" of task "${address.taskName}" changes too fast. Ask again.`,
        { ...address },
      );
    await pause(link.clock, LOOK_AGAIN_MS);
  }
}

async function isNewest(link: NatsLink, names: Names, view: RunView): Promise<boolean> {
  const { prefix, stream } = names.run(view);
  const history = `${prefix}.${view.parent ? "c" : "h"}`;
  const last = await link.reader.lastFor(stream, history, { leader: true });
  return (last?.sequence ?? 0) <= view.state.tail;
}

/** @throws {RepairRefusedError} When another repair is asked for already. */
function isAskedFor({ repairRequest, ...run }: RunView, repair: Repair): boolean {
  if (!repairRequest) return false;
  const { again, skip } = decode(encode(repair, "repair"), "repair") as Repair;
  const isSame =
    isDeepStrictEqual(repairRequest.again, again) && isDeepStrictEqual(repairRequest.skip, skip);
  if (isSame) return true;
  const { taskName, runId } = run;
  const other = nameOfRepair(repairRequest);
  throw new RepairRefusedError(
    `Run "${runId}" of task "${taskName}" is about to go on: ${repairRequest.by} asked to ${other} it. Look again when a worker has taken it up.`,
    { taskName, runId, status: run.state.status },
  );
}

/** @returns False when the run has gone on. */
async function publish(
  link: NatsLink,
  names: Names,
  { taskName, runId, parent, startSequence, state }: RunView,
  repair: Repair,
): Promise<boolean> {
  const { prefix } = names.run({ taskName, runId });
  const isChild = parent !== undefined;
  const because = { repair };
  const body = encodeReady({ answers: state.tail, startSequence, isChild, because });
  const limit = link.maxPayload - FRAME_BYTES;
  if (body.length > limit)
    throw new LimitExceededError(
      `What run "${runId}" of task "${taskName}" is to be given has ${body.length} bytes, the limit is ${limit}.`,
      { limitName: "message-bytes", limit, actual: body.length },
    );
  const outcome = await link.publisher.guardedPublish(`${prefix}.token.ready`, body, {
    expect: state.tail,
    expectSubject: `${prefix}.${isChild ? "c" : "h"}`,
  });
  if (outcome.ok) return true;
  if (outcome.kind === "guard") return false;
  throw unstoredError(
    outcome,
    {
      what: `What was asked for run "${runId}" of task "${taskName}"`,
      mayNot: "may not have been stored",
      advice: "Asking again is safe.",
    },
    { taskName, runId },
  );
}

/**
 * The start of a fork: input, events and history of a run, as far as they are kept.
 * @throws {RunNotFoundError} When there is no such run.
 * @throws {RepairRefusedError} When it has no such entries or results.
 */
export async function forkedStart(
  { link, names, payloads, by }: RepairHub,
  address: RunAddress,
  fork: RunAddress,
  options: Omit<ForkOptions, "id">,
): Promise<Omit<Start, "nonce">> {
  checkFields(options, "argument of fork()", ["entries", "input", "results", "reason"]);
  const { reason = "", entries, results = {} } = options;
  checkText(reason, "reason");
  const view = await readView(link, names, address);
  const { taskName, runId, startSequence, startedAt } = view;
  const { prefix, stream } = names.run(address);
  const stored = await link.reader.get(stream, startSequence, { leader: true });
  if (!stored) throw notFound(address);
  const origin = decodeStart(stored.data, `${prefix}.token.start`);
  const commits = copyHistory(view, {
    by,
    reason,
    results,
    ...(entries === undefined ? {} : { entries }),
    ...("input" in options ? { input: options.input } : {}),
  });
  const from = {
    runId,
    startedAt: origin.fork?.startedAt ?? startedAt,
    seed: origin.fork?.seed ?? `${taskName}/${runId}/${startSequence}`,
    reason,
    commits: await copiedPayloads(payloads, commits, fork),
  };
  const given = "input" in options ? options.input : origin.input;
  const isApart = given instanceof PayloadReference;
  const input = isApart ? await payloads.copy(given, { run: fork }) : given;
  return { input, events: origin.events, by, fork: from };
}
