/** Reads what the log says about a token's run: as much as the decision needs, as new as it needs. */
import { UndecodableError } from "../shared/errors.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import {
  type Because,
  type CancelRequest,
  decodeEnclosed,
  decodeReady,
  decodeStart,
  type EnclosedEvent,
  type Start,
} from "../shared/messages.ts";
import type { RunState } from "../shared/run-state.ts";
import { stateOfStart } from "../shared/start-state.ts";
import type { RunAddress, RunSubjects } from "../shared/subjects.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import { FirstLook } from "./first-look.ts";
import { cancelFor, readRun, readState, type StartFacts } from "./run-reader.ts";
import type { Services } from "./services.ts";
import type { SlotPool } from "./slots.ts";
import { pause } from "./steps.ts";
import type { TaskVersions } from "./task-versions.ts";
import type { WarmRun, WarmRuns } from "./warm-runs.ts";

/** A task of this worker with the pool its runs take slots from. */
export interface ServedTask {
  /** The version that the run goes on with; before that is known, the newest. */
  readonly definition: TaskDefinition;
  readonly versions: TaskVersions;
  readonly pool: SlotPool;
}

/** A token, and whose it is. */
export interface TokenRun {
  readonly address: RunAddress;
  readonly subjects: RunSubjects;
  readonly token: DeliveredMessage;
  readonly task: ServedTask;
  /** Whether it is a start; else it is a ready. */
  readonly isStart: boolean;
}

/** A token with what was read about its run. */
export interface Reading extends TokenRun {
  readonly history: string;
  readonly isChild: boolean;
  readonly answers: number;
  readonly because: Because;
  /** Copies of events that the token names. */
  readonly enclosed: readonly EnclosedEvent[];
  readonly start: Start | undefined;
  readonly state: RunState;
  readonly cancel: CancelRequest | undefined;
  readonly isSurelyFirst: boolean;
  readonly warm: WarmRun | undefined;
}

/** Pause before a replica that is behind is read again. */
const READ_AGAIN_MS = 25;

/** Reads for the tokens of one worker. */
export class TokenReader {
  readonly #services: Services;
  readonly #warm: WarmRuns;
  readonly #firstLook: FirstLook;

  constructor(services: Services, warm: WarmRuns) {
    this.#services = services;
    this.#warm = warm;
    this.#firstLook = new FirstLook(services.link);
  }

  /**
   * Reads what a token needs to be decided.
   * @param mustBeFresh As new as the stream's leader knows it.
   * @throws {UndecodableError} When the token's own message cannot be read.
   */
  async read(run: TokenRun, mustBeFresh: boolean): Promise<Reading> {
    return run.isStart ? this.#readStart(run, mustBeFresh) : this.#readReady(run, mustBeFresh);
  }

  async #readStart(base: TokenRun, mustBeFresh: boolean): Promise<Reading> {
    const { token, subjects } = base;
    const start = decodeStart(token.data, whereIs(token));
    const isChild = start.parent !== undefined;
    const history = `${subjects.prefix}.${isChild ? "c" : "h"}`;
    const cancelSubject = `${subjects.prefix}.cancel`;
    const lasts = await this.#firstLook.lasts(subjects.stream, [history, cancelSubject]);
    const cancel = cancelFor(lasts.get(cancelSubject), token.streamSequence);
    const startedAt = { sequence: token.streamSequence, timeMs: token.timeMs, start };
    if (!lasts.has(history) && !mustBeFresh) {
      const state = stateOfStart(start, startedAt.sequence, startedAt.timeMs);
      // With a deadline the claim decides: the engine may be about to end the run.
      const hasDeadline = start.queueTimeoutMs !== undefined;
      const isSurelyFirst = !cancel && !hasDeadline && this.#isInTime(token);
      return startReading(base, { history, isChild, start, state, cancel, isSurelyFirst });
    }
    const at = { stream: subjects.stream, prefix: subjects.prefix, history };
    const state = await readState(this.#services.link, at, startedAt, lasts.get(history));
    const fresh = await this.#catchUp(state, at, startedAt, mustBeFresh);
    const isThere = !mustBeFresh || (await this.#isStored(token));
    const found = { history, isChild, state: fresh, cancel, isSurelyFirst: false };
    return startReading(base, { ...found, start: isThere ? start : undefined });
  }

  async #readReady(base: TokenRun, mustBeFresh: boolean): Promise<Reading> {
    const { token, subjects } = base;
    const { answers, startSequence, isChild, because } = decodeReady(token.data, whereIs(token));
    const history = `${subjects.prefix}.${isChild ? "c" : "h"}`;
    const enclosed = because.events ? decodeEnclosed(token.data, whereIs(token)) : [];
    const common = { history, isChild, answers, because, enclosed, isSurelyFirst: false };
    const warm = mustBeFresh ? undefined : this.#warm.take(history, answers);
    if (warm) {
      const { state } = warm.execution;
      const cancel = await this.#readCancel(base, because, startSequence);
      return reading(base, { ...common, start: undefined, state, cancel, warm });
    }
    const at = { stream: subjects.stream, prefix: subjects.prefix, history };
    const read = await readRun(this.#services.link, at, startSequence, mustBeFresh);
    if (read.start && (read.start.parent !== undefined) !== isChild)
      throw new UndecodableError(`The token at ${whereIs(token)} names another history.`);
    const { startedAt: timeMs } = read.state;
    const startedAt = { sequence: startSequence, timeMs, start: read.start };
    const state = await this.#catchUp(read.state, at, startedAt, mustBeFresh);
    const { start, cancel } = read;
    return reading(base, { ...common, start, cancel, state, warm: undefined });
  }

  /** The request that the engine names, for a run whose log is not read otherwise. */
  async #readCancel(
    { subjects }: TokenRun,
    { cancel }: Because,
    startSequence: number,
  ): Promise<CancelRequest | undefined> {
    if (cancel === undefined) return undefined;
    const { reader } = this.#services.link;
    const message =
      (await reader.get(subjects.stream, cancel)) ??
      (await reader.get(subjects.stream, cancel, { leader: true }));
    return cancelFor(message, startSequence);
  }

  /** Reads until the state is as new as the leader's history, where that is asked for. */
  async #catchUp(
    state: RunState,
    at: { stream: string; prefix: string; history: string },
    start: StartFacts,
    mustBeFresh: boolean,
  ): Promise<RunState> {
    if (!mustBeFresh) return state;
    const { link } = this.#services;
    let fresh = state;
    for (;;) {
      // Asked each time: the run may be purged meanwhile.
      const tail = await link.reader.lastFor(at.stream, at.history, { leader: true });
      if (fresh.tail >= (tail?.sequence ?? 0)) break;
      await pause(this.#services, READ_AGAIN_MS);
      fresh = await readState(link, at, start, tail);
    }
    return fresh;
  }

  /** Whether a start is there still: its run may have ended and been purged since it was delivered. */
  async #isStored({ stream, subject, streamSequence }: DeliveredMessage): Promise<boolean> {
    const { reader } = this.#services.link;
    const last = await reader.lastFor(stream, subject, { leader: true });
    return last?.sequence === streamSequence;
  }

  /** Whether nobody else can have been handed this start (rule 7). */
  #isInTime(token: DeliveredMessage): boolean {
    const { clock, claimTimeoutMs } = this.#services;
    const ageMs = clock.monotonic() - token.requestedAt;
    return token.deliveryCount === 1 && ageMs < claimTimeoutMs / 2;
  }
}

type FoundOfStart = Pick<
  Reading,
  "history" | "isChild" | "start" | "state" | "cancel" | "isSurelyFirst"
>;

const NO_REASON: Because = {};
const NO_EVENTS: readonly EnclosedEvent[] = [];

/** A start's token answers no wait. */
function startReading(run: TokenRun, found: FoundOfStart): Reading {
  const { history, isChild, start, state, cancel, isSurelyFirst } = found;
  return reading(run, {
    history,
    isChild,
    answers: 0,
    because: NO_REASON,
    enclosed: NO_EVENTS,
    start,
    state,
    cancel,
    isSurelyFirst,
    warm: undefined,
  });
}

/** Field by field: spread into one another, objects of so many fields cost more than the read. */
function reading(run: TokenRun, found: Omit<Reading, keyof TokenRun>): Reading {
  return {
    address: run.address,
    subjects: run.subjects,
    token: run.token,
    task: run.task,
    isStart: run.isStart,
    history: found.history,
    isChild: found.isChild,
    answers: found.answers,
    because: found.because,
    enclosed: found.enclosed,
    start: found.start,
    state: found.state,
    cancel: found.cancel,
    isSurelyFirst: found.isSurelyFirst,
    warm: found.warm,
  };
}

/** Names a token's message in errors. */
export function whereIs(token: DeliveredMessage): string {
  return `${token.subject}, sequence ${token.streamSequence}`;
}
