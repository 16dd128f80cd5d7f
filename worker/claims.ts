/**
 * What happens to a token from its delivery to its acknowledgement: read, decide, and carry out the
 * decision.
 *
 * L1. A token is acknowledged after the waiting or ended commit of its own passage and its
 *     registrations, or when it is dead (rule 5). Whoever loses a race says nothing about it.
 * L2. No user code runs before a successful compare-and-append of this pass, except for what is
 *     surely the first delivery of a start in time (rule 7).
 */
import { decideToken, type TokenAction } from "../shared/claim-decision.ts";
import type { Entry } from "../shared/entries.ts";
import { UndecodableError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../shared/limits.ts";
import {
  type Because,
  type CancelRequest,
  decodeReady,
  decodeStart,
  type EventPosition,
  type Start,
} from "../shared/messages.ts";
import { initialState, type RunState } from "../shared/run-state.ts";
import type { RunAddress, RunSubjects } from "../shared/subjects.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import { makeContext } from "./context.ts";
import { DurablePass, type PassEnd } from "./durable-pass.ts";
import { Execution } from "./execution.ts";
import { FirstLook } from "./first-look.ts";
import type { HeldRuns } from "./held-runs.ts";
import { settledBy } from "./outcomes.ts";
import { PassRun } from "./pass-run.ts";
import { cancelTimer, registerWaits } from "./registration.ts";
import { runRegular } from "./regular-pass.ts";
import { cancelFor, readRun, readState } from "./run-reader.ts";
import type { Services } from "./services.ts";
import type { Slot, SlotPool } from "./slots.ts";
import { pause } from "./steps.ts";
import type { WarmRun, WarmRuns } from "./warm-runs.ts";
import type { Work } from "./work.ts";

/** A task of this worker with the pool its runs take slots from. */
export interface ServedTask {
  readonly definition: TaskDefinition;
  readonly pool: SlotPool;
}

/** A token with what was read about its run. */
interface Reading {
  readonly address: RunAddress;
  readonly subjects: RunSubjects;
  readonly token: DeliveredMessage;
  readonly task: ServedTask;
  readonly history: string;
  readonly isChild: boolean;
  readonly answers: number;
  readonly because: Because;
  readonly start: Start | undefined;
  readonly state: RunState;
  readonly cancel: CancelRequest | undefined;
  readonly isSurelyFirst: boolean;
  readonly warm: WarmRun | undefined;
}

/** How often a token is read again before it is left to be delivered again. */
const READINGS = 20;
const READ_AGAIN_MS = 25;
/** How soon a token that could not be handled is delivered again. */
const RETRY_MS = 1_000;

/** Handles the tokens of one worker. */
export class Claims {
  readonly #services: Services;
  readonly #held: HeldRuns;
  readonly #warm: WarmRuns;
  readonly #firstLook: FirstLook;

  constructor(services: Services, held: HeldRuns, warm: WarmRuns) {
    this.#services = services;
    this.#held = held;
    this.#warm = warm;
    this.#firstLook = new FirstLook(services.link);
  }

  /** Handles one token; it owns the slot from here on. Never throws. */
  async handle(token: DeliveredMessage, task: ServedTask, slot: Slot): Promise<void> {
    try {
      await this.#handle(token, task, slot);
    } catch (error) {
      this.#services.log.error("A token could not be handled and will be delivered again.", {
        subject: token.subject,
        sequence: token.streamSequence,
        error,
      });
      token.nak(RETRY_MS);
    } finally {
      slot.release();
    }
  }

  async #handle(token: DeliveredMessage, task: ServedTask, slot: Slot): Promise<void> {
    const granted = await this.#holdUntilDue(token, task, slot);
    if (!granted) return token.nak();
    try {
      await this.#readAndDecide(token, task, granted);
    } finally {
      granted.release();
    }
  }

  async #readAndDecide(token: DeliveredMessage, task: ServedTask, slot: Slot): Promise<void> {
    let hasLost = false;
    for (let reading = 1; reading <= READINGS; reading++) {
      const read = await this.#read(token, task, reading > 1);
      if (!read) return token.ack(); // nothing can be done with it; the log says why
      if (!read.start && !read.warm && reading > 1) return token.ack(); // purged
      const action = decideToken(
        { sequence: token.streamSequence, answers: read.answers },
        read.state,
        {
          isFresh: reading > 1,
          isHeldHere: this.#held.isHeld(read.history, token.streamSequence),
          isSurelyFirst: read.isSurelyFirst,
        },
        TAKEOVERS_BEFORE_PAUSE,
      );
      // Whoever was faster owns the run by this very token and lives: it is for them to answer it.
      if (hasLost && (action === "take-over" || action === "pause")) return;
      const isReadable = read.start !== undefined || read.warm !== undefined;
      if (isReadable && action !== "read-again") {
        if (await this.#carryOut(action, read, slot)) return;
        hasLost = true;
      }
      await pause(this.#services, READ_AGAIN_MS * reading, new AbortController().signal);
    }
    token.nak(RETRY_MS);
  }

  /**
   * A timer's token comes early by the server's granularity and is held until it is due, without a
   * slot (rule 14). Returns the slot to go on with, or nothing when none is free then.
   */
  async #holdUntilDue(
    token: DeliveredMessage,
    task: ServedTask,
    slot: Slot,
  ): Promise<Slot | undefined> {
    if (!token.subject.endsWith(".ready")) return slot;
    const { clock } = this.#services;
    const dueAt = tryDecodeReady(token)?.because.timer;
    if (dueAt === undefined) return slot;
    const serverNow = token.timeMs + (clock.monotonic() - token.receivedAt);
    const { shard } = this.#services.names.parse(token.subject);
    const restMs = dueAt - Math.max(serverNow, this.#services.serverClock(shard).earliest());
    if (restMs <= 0) return slot;
    slot.release();
    if (restMs > this.#services.claimTimeoutMs / 3) return undefined;
    await pause(this.#services, restMs, new AbortController().signal);
    return task.pool.tryAcquire(slot, clock.now());
  }

  // --- reading

  async #read(
    token: DeliveredMessage,
    task: ServedTask,
    mustBeFresh: boolean,
  ): Promise<Reading | undefined> {
    const { names, log } = this.#services;
    const { taskName, runId, kind } = names.parse(token.subject);
    const address = { taskName, runId };
    const base = { address, subjects: names.run(address), token, task };
    try {
      return kind === "start"
        ? await this.#readStart(base, mustBeFresh)
        : await this.#readReady(base, mustBeFresh);
    } catch (error) {
      if (!(error instanceof UndecodableError)) throw error;
      log.error("A message of a run cannot be read; its token is dropped.", { ...address, error });
      return undefined;
    }
  }

  async #readStart(
    base: Pick<Reading, "address" | "subjects" | "token" | "task">,
    mustBeFresh: boolean,
  ): Promise<Reading | undefined> {
    const { token, subjects } = base;
    const start = tryDecodeStart(token);
    if (start instanceof UndecodableError) {
      await this.#refuseStart(base, start);
      return undefined;
    }
    const isChild = start.parent !== undefined;
    const history = `${subjects.prefix}.${isChild ? "c" : "h"}`;
    const common = { ...base, history, isChild, answers: 0, because: {}, start, warm: undefined };
    const cancelSubject = `${subjects.prefix}.cancel`;
    const lasts = await this.#firstLook.lasts(subjects.stream, [history, cancelSubject]);
    const cancel = cancelFor(lasts.get(cancelSubject), token.streamSequence);
    const startedAt = { sequence: token.streamSequence, timeMs: token.timeMs };
    if (!lasts.has(history) && !mustBeFresh) {
      const state = initialState(startedAt.sequence, startedAt.timeMs);
      const isSurelyFirst = !cancel && this.#isInTime(token);
      return { ...common, state, cancel, isSurelyFirst };
    }
    const at = { stream: subjects.stream, prefix: subjects.prefix, history };
    const state = await readState(this.#services.link, at, startedAt);
    await this.#catchUp(state, at, startedAt, mustBeFresh);
    return { ...common, state, cancel, isSurelyFirst: false };
  }

  async #readReady(
    base: Pick<Reading, "address" | "subjects" | "token" | "task">,
    mustBeFresh: boolean,
  ): Promise<Reading> {
    const { token, subjects } = base;
    const where = `${token.subject}, sequence ${token.streamSequence}`;
    const { answers, startSequence, isChild, because } = decodeReady(token.data, where);
    const history = `${subjects.prefix}.${isChild ? "c" : "h"}`;
    const common = { ...base, history, isChild, answers, because, isSurelyFirst: false };
    const warm = mustBeFresh ? undefined : this.#warm.take(history, answers);
    if (warm) {
      const { state } = warm.execution;
      return { ...common, start: undefined, state, cancel: undefined, warm };
    }
    const at = { stream: subjects.stream, prefix: subjects.prefix, history };
    const read = await readRun(this.#services.link, at, startSequence);
    const startedAt = { sequence: startSequence, timeMs: read.state.startedAt };
    const state = await this.#catchUp(read.state, at, startedAt, mustBeFresh);
    return { ...common, ...read, state, warm: undefined };
  }

  /** Reads until the state is as new as the leader's history, where that is asked for. */
  async #catchUp(
    state: RunState,
    at: { stream: string; prefix: string; history: string },
    start: { readonly sequence: number; readonly timeMs: number },
    mustBeFresh: boolean,
  ): Promise<RunState> {
    if (!mustBeFresh) return state;
    const { link } = this.#services;
    const tail = await link.reader.lastFor(at.stream, at.history, { leader: true });
    let fresh = state;
    while (fresh.tail < (tail?.sequence ?? 0)) {
      await pause(this.#services, READ_AGAIN_MS, new AbortController().signal);
      fresh = await readState(link, at, start);
    }
    return fresh;
  }

  /** Whether nobody else can have been handed this start (rule 7). */
  #isInTime(token: DeliveredMessage): boolean {
    const { clock, claimTimeoutMs } = this.#services;
    const ageMs = clock.monotonic() - token.requestedAt;
    return token.deliveryCount === 1 && ageMs < claimTimeoutMs / 2;
  }

  // --- carrying out

  /** @returns False when another worker was faster: the token is read and decided again. */
  async #carryOut(
    action: Exclude<TokenAction, "read-again">,
    read: Reading,
    slot: Slot,
  ): Promise<boolean> {
    const { token } = read;
    switch (action) {
      case "drop":
        token.ack();
        return true;
      case "extend":
        token.progress();
        return true;
      case "register":
        slot.release();
        await this.#registerAgain(read);
        return true;
      case "begin":
        return this.#withRun(read, slot, (run) => this.#pass(run, read));
      case "claim":
      case "take-over":
        return this.#withRun(read, slot, (run) => this.#claim(action, read, run));
      case "pause":
        return this.#withRun(read, slot, (run) => this.#pauseRun(read, run));
    }
  }

  /** Holds the run meanwhile; an error lets go of it. */
  async #withRun(
    read: Reading,
    slot: Slot,
    act: (run: PassRun) => Promise<boolean>,
  ): Promise<boolean> {
    const run = this.#passRun(read, slot);
    try {
      return await act(run);
    } catch (error) {
      run.leave();
      throw error;
    }
  }

  async #registerAgain(read: Reading): Promise<void> {
    const { subjects, history, isChild, state, token } = read;
    const place = { prefix: subjects.prefix, history, isChild };
    const signal = AbortSignal.timeout(this.#services.claimTimeoutMs);
    if (await registerWaits(this.#services, place, state, { passMs: 0, signal })) token.ack();
  }

  async #claim(action: "claim" | "take-over", read: Reading, run: PassRun): Promise<boolean> {
    const { state, because } = read;
    const now = run.serverClock.earliest();
    const isWaiting = state.status === "waiting" || state.status === "paused";
    const entries: Entry[] = [
      {
        kind: "claimed",
        worker: this.#services.workerId,
        because: action === "take-over" ? "takeover" : nameOf(because),
      },
    ];
    if (read.cancel && !state.cancel)
      entries.push({ kind: "cancel-requested", by: read.cancel.by, reason: read.cancel.reason });
    if (isWaiting)
      entries.push(...(await settledBy(this.#services, read.address, state, because, now)));
    const isCanceledEarly = read.cancel && state.status === "queued";
    if (isCanceledEarly) entries.push(canceledEnd(read.cancel));
    for (const entry of entries) run.committer.add(entry);
    const hadTimer = isWaiting && because.timer === undefined;
    const point = this.#services.failpoint("before-claim");
    if (point) await point;
    const sentAt = this.#services.clock.monotonic();
    if ((await run.committer.commit(hadTimer ? cancelTimer(run.place) : [])) === "lost") {
      run.leave();
      return false;
    }
    run.noteProof(sentAt);
    const after = this.#services.failpoint("after-claim");
    if (after) await after;
    if (!isCanceledEarly) return this.#pass(run, read);
    run.acknowledge();
    return true;
  }

  async #pauseRun(read: Reading, run: PassRun): Promise<boolean> {
    const { taskName, runId } = read.address;
    const reason = `Run "${runId}" of task "${taskName}" lost its worker ${TAKEOVERS_BEFORE_PAUSE} times in a row without getting any further.`;
    run.committer.add({ kind: "paused", reason, details: { code: "workers-lost" } });
    const isStored = (await run.committer.commit()) === "stored";
    if (isStored) run.acknowledge();
    else run.leave();
    return isStored;
  }

  /** A start that nobody can read ends its run as failed, so that its caller learns it (rule 10). */
  async #refuseStart(
    base: Pick<Reading, "address" | "subjects" | "token" | "task">,
    error: UndecodableError,
  ): Promise<void> {
    const { address, subjects, token, task } = base;
    const state = initialState(token.streamSequence, token.timeMs);
    const slot = task.pool.tryAcquire(address, this.#services.clock.now());
    const run = new PassRun({
      services: this.#services,
      address,
      subjects,
      isChild: false,
      state,
      events: { after: 0, created: "" },
      token,
      slot: slot ?? { ...address, since: 0, release: () => {} },
      pool: task.pool,
      held: this.#held,
    });
    run.committer.add({
      kind: "ended",
      outcome: { status: "failed", error: toFailure(error) },
    });
    await run.committer.commit();
    run.leave();
  }

  #passRun(read: Reading, slot: Slot): PassRun {
    const events: EventPosition = read.start?.events ??
      read.warm?.events ?? { after: 0, created: "" };
    return new PassRun({
      services: this.#services,
      address: read.address,
      subjects: read.subjects,
      isChild: read.isChild,
      state: read.state,
      events,
      token: read.token,
      slot,
      pool: read.task.pool,
      held: this.#held,
    });
  }

  // --- the pass

  async #pass(run: PassRun, read: Reading): Promise<true> {
    const { definition } = read.task;
    const end: PassEnd =
      definition.kind === "regular"
        ? await runRegular(run, definition, read.start?.input)
        : await this.#durable(run, read);
    if (end === "lost") run.leave();
    return true;
  }

  async #durable(run: PassRun, read: Reading): Promise<PassEnd> {
    const warm = read.warm ?? this.#cold(run, read);
    warm.attach(run);
    const end = await new DurablePass(run, warm.execution).run();
    if (end === "suspended") this.#warm.put(run.history, warm);
    return end;
  }

  /** The code from its beginning, over what is recorded. */
  #cold(run: PassRun, read: Reading): WarmRun {
    const { definition } = read.task;
    const execution = new Execution<Work>(read.state);
    let present = run;
    const context = makeContext({
      runId: read.address.runId,
      startSequence: read.state.startSequence,
      definition,
      execution,
      log: this.#services.log,
      signal: () => present.userSignal,
      startedAt: read.state.startedAt,
    });
    execution.begin(() => definition.run(read.start?.input, context));
    return {
      execution,
      events: run.parent.events,
      attach: (next) => {
        present = next;
      },
    };
  }
}

function canceledEnd(request: CancelRequest): Entry {
  const message = request.reason || "the run was canceled before it began";
  return {
    kind: "ended",
    outcome: { status: "canceled", error: { name: "RunCanceledError", message } },
  };
}

/** One word for why a run goes on. */
function nameOf(because: Because): string {
  if (because.cancel !== undefined) return "cancel";
  if (because.timer !== undefined) return "timer";
  if (because.events || because.children) return "match";
  return because.poke === undefined ? "start" : "poke";
}

function tryDecodeReady(token: DeliveredMessage): ReturnType<typeof decodeReady> | undefined {
  try {
    return decodeReady(token.data, token.subject);
  } catch {
    return undefined; // reported where the token is read
  }
}

function tryDecodeStart(token: DeliveredMessage): Start | UndecodableError {
  try {
    return decodeStart(token.data, `${token.subject}, sequence ${token.streamSequence}`);
  } catch (error) {
    if (error instanceof UndecodableError) return error;
    throw error;
  }
}
