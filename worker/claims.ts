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
import { PayloadMissingError, UndecodableError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../shared/limits.ts";
import { decodeReady, EVENTS_REPLACED, WAKE_LOST } from "../shared/messages.ts";
import { repairEntries } from "../shared/repairs.ts";
import { initialState } from "../shared/run-state.ts";
import { nameOf } from "./because.ts";
import { cancelChildren } from "./child-cancels.ts";
import { DurablePass, type PassEnd } from "./durable-pass.ts";
import { ForeignTokens, pinOf, versionedFor } from "./foreign-tokens.ts";
import type { HeldRuns } from "./held-runs.ts";
import { interruptionAt, overdueEntry } from "./interruptions.ts";
import { pauseWithout } from "./missing-payload.ts";
import { settledBy } from "./outcomes.ts";
import { PassRun } from "./pass-run.ts";
import { pauseEntry, SuspectSeat } from "./poison.ts";
import { cancelTimer, nextDue, registerWaits } from "./registration.ts";
import { runRegular } from "./regular-pass.ts";
import type { Services } from "./services.ts";
import type { Slot } from "./slots.ts";
import { pause } from "./steps.ts";
import { callCode, NO_EVENTS, originOf } from "./task-code.ts";
import {
  type Reading,
  type ServedTask,
  TokenReader,
  type TokenRun,
  whereIs,
} from "./token-reader.ts";
import type { WarmRuns } from "./warm-runs.ts";

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
  readonly #reader: TokenReader;
  readonly #foreign: ForeignTokens;
  readonly #seat: SuspectSeat;

  constructor(services: Services, held: HeldRuns, warm: WarmRuns) {
    this.#services = services;
    this.#held = held;
    this.#warm = warm;
    this.#reader = new TokenReader(services, warm);
    this.#foreign = new ForeignTokens(services.log);
    this.#seat = new SuspectSeat(held, services.claimTimeoutMs);
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
    const { taskName, runId, kind } = this.#services.names.parse(token.subject);
    const address = { taskName, runId };
    const isStart = kind === "token.start";
    const run = { address, subjects: this.#services.names.run(address), token, task, isStart };
    try {
      if (isStart) return await this.#readAndDecide(run, slot);
      const { because } = decodeReady(token.data, whereIs(token));
      if (this.#restMs(run, because.timer) > this.#services.claimTimeoutMs / 3)
        return await this.#handleTooEarly(run, slot);
      const granted = await this.#holdUntilDue(run, because.timer, slot);
      if (!granted) return token.nak();
      try {
        await this.#readAndDecide(run, granted);
      } finally {
        granted.release();
      }
    } catch (error) {
      if (!(error instanceof UndecodableError)) throw error;
      this.#services.log.error("A token cannot be read.", { ...address, error });
      const fate = isStart ? "The run that it was to start has failed." : "It was dropped.";
      this.#note(token.subject, token.streamSequence, error.message, fate);
      if (isStart) await this.#refuseStart(run, slot, error);
      token.ack(); // it would be no more readable the next time
    }
  }

  async #readAndDecide(run: TokenRun, slot: Slot): Promise<void> {
    const { token } = run;
    let hasLost = false;
    for (let reading = 1; reading <= READINGS; reading++) {
      const isFresh = reading > 1;
      const read = await this.#reader.read(run, isFresh);
      const isThere = read.start !== undefined || read.warm !== undefined;
      if (!isThere && isFresh) return token.ack(); // purged
      const action = this.#decide(read, isFresh);
      const isRecovery = action === "take-over" || action === "pause";
      // Whoever was faster owns the run by this very token and lives: it is for them to answer it.
      if (hasLost && isRecovery) return;
      // Else a loss would only tell that the replica was behind.
      const mustBeFresh = isRecovery || (action === "claim" && read.state.status === "queued");
      if (mustBeFresh && !isFresh) continue;
      if (isThere && action !== "read-again") {
        const versioned = versionedFor(action, read);
        if (!versioned) return this.#foreign.leave(read);
        if (await this.#carryOut(action, versioned, slot)) return;
        hasLost = true;
      }
      await pause(this.#services, READ_AGAIN_MS * reading);
    }
    token.nak(RETRY_MS);
  }

  #decide(read: Reading, isFresh: boolean): TokenAction {
    const { token, history, answers, state, isSurelyFirst } = read;
    const { streamSequence: sequence } = token;
    const isHeldHere = this.#held.isHeld(history, sequence);
    const isHeldOtherwise = !isHeldHere && this.#held.holds(history);
    const facts = { isFresh, isHeldHere, isHeldOtherwise, isSurelyFirst };
    const reopens = read.because.repair?.again !== undefined;
    const standsIn = read.because.poke === WAKE_LOST;
    const asked = { sequence, answers, reopens, standsIn };
    return decideToken(asked, state, facts, TAKEOVERS_BEFORE_PAUSE);
  }

  /** How long it is until a timer's token is due, by the server's clock. */
  #restMs({ token, subjects }: TokenRun, dueAt: number | undefined): number {
    if (dueAt === undefined) return 0;
    const { clock, serverClock } = this.#services;
    const serverNow = token.timeMs + (clock.monotonic() - token.receivedAt);
    return dueAt - Math.max(serverNow, serverClock(subjects.shard).earliest());
  }

  /**
   * A timer's token comes early by the server's granularity and is held until it is due, without a
   * slot (rule 14). Returns the slot to go on with, or nothing when none is free then.
   */
  async #holdUntilDue(
    run: TokenRun,
    dueAt: number | undefined,
    slot: Slot,
  ): Promise<Slot | undefined> {
    let restMs = this.#restMs(run, dueAt);
    if (restMs <= 0) return slot;
    // Timers cut fractions off and fire early: a claim before the time would only wait again.
    slot.release();
    for (; restMs > 0; restMs = this.#restMs(run, dueAt)) await pause(this.#services, restMs);
    return run.task.pool.tryAcquire(run.address, this.#services.clock.now());
  }

  /**
   * No timer fires so early, unless the servers' clocks disagree: then the token is left for later.
   * One that names a time which the run does not wait for is no timer's and would never be due.
   */
  async #handleTooEarly(run: TokenRun, slot: Slot): Promise<void> {
    slot.release();
    const { token } = run;
    const read = await this.#reader.read(run, true);
    const action = this.#decide(read, true);
    const definition = run.task.versions.forRun(read.state);
    if (!definition && action === "claim") return this.#foreign.leave(read);
    const limits = definition ?? run.task.definition;
    const isNoTimer = action === "claim" && nextDue(read.state, limits) !== read.because.timer;
    if (!read.start || action === "drop") return token.ack();
    // It may be the only one that wakes the run, set when its task had another time limit.
    if (isNoTimer) return read.state.status === "waiting" ? this.#registerAgain(read) : token.ack();
    token.nak(Math.min(this.#restMs(run, read.because.timer), this.#services.claimTimeoutMs));
  }

  // --- carrying out

  /** @returns False when somebody was faster: the token is read and decided again. */
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
      case "leave":
        token.nak(this.#services.claimTimeoutMs);
        return true;
      case "register":
        slot.release();
        await this.#registerAgain(read);
        return true;
      case "begin":
        return this.#withRun(read, slot, (run) => {
          const { state } = read;
          const isOverdue = overdueEntry(state, run.limits, run.serverClock.earliest());
          if (isOverdue) return this.#claim("claim", read, run);
          for (const entry of pinOf(read)) run.committer.add(entry);
          return this.#pass(run, read);
        });
      case "claim":
      case "take-over":
        if (action === "take-over" && !this.#seat.admits(read, this.#services.clock.monotonic())) {
          token.nak(RETRY_MS);
          return true;
        }
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
    if (run.isOver) return true; // the worker has closed meanwhile, and the token is handed over
    try {
      return await act(run);
    } catch (error) {
      run.leave();
      throw error;
    }
  }

  async #registerAgain(read: Reading): Promise<void> {
    const { subjects, history, isChild, state, token, task } = read;
    const eventsCreated = (read.start?.events ?? NO_EVENTS).created;
    const place = { prefix: subjects.prefix, history, isChild, eventsCreated };
    const { clock, claimTimeoutMs } = this.#services;
    const over = new AbortController();
    const stopTimer = clock.after(claimTimeoutMs, () => over.abort());
    const { signal } = over;
    try {
      const options = { passMs: 0, signal, limits: task.definition };
      if (await registerWaits(this.#services, place, state, options)) token.ack();
    } finally {
      stopTimer();
    }
  }

  async #claim(action: "claim" | "take-over", read: Reading, run: PassRun): Promise<boolean> {
    const { state, because } = read;
    const sinceMs = this.#services.clock.monotonic() - read.token.receivedAt;
    const now = Math.max(run.serverClock.earliest(), read.token.timeMs + sinceMs);
    const isWaiting = state.status === "waiting" || state.status === "paused";
    const entries: Entry[] = [
      {
        kind: "claimed",
        worker: this.#services.workerId,
        because: action === "take-over" ? "takeover" : nameOf(because),
      },
    ];
    if (action === "claim" && because.repair) entries.push(...repairEntries(because.repair));
    const interruption = interruptionAt({ ...read, now, definition: read.task.definition });
    if (!interruption.outcome) entries.push(...pinOf(read));
    if (interruption.entry) entries.push(interruption.entry);
    if (isWaiting) entries.push(...(await settledBy(this.#services, read, now)));
    if (interruption.outcome) {
      // Before the end is recorded: whoever comes after it finds nothing to do any more.
      await cancelChildren(this.#services, run.parent, state, run.signal);
      entries.push({ kind: "ended", outcome: interruption.outcome });
    }
    for (const entry of entries) run.committer.add(entry);
    if (because.poke === EVENTS_REPLACED) await this.#services.events.read(); // what is remembered is old
    const hadTimer = because.timer === undefined && nextDue(state, run.limits) !== undefined;
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
    if (!interruption.outcome) return this.#pass(run, read);
    run.acknowledge();
    return true;
  }

  #note(subject: string, sequence: number, problem: string, fate: string): void {
    this.#services.undecodable.note({ subject, sequence, problem, fate });
  }

  async #pauseRun(read: Reading, run: PassRun): Promise<boolean> {
    const { unreadableAt } = read.state;
    if (unreadableAt !== undefined)
      this.#note(read.history, unreadableAt, "It is no part of a history.", "Its run is paused.");
    run.committer.add(pauseEntry(read.address, read.state));
    const isStored = (await run.committer.commit()) === "stored";
    run[isStored ? "acknowledge" : "leave"]();
    return isStored;
  }

  /** A start that nobody can read ends its run as failed, so that its caller learns it (rule 10). */
  async #refuseStart(start: TokenRun, slot: Slot, problem: UndecodableError): Promise<void> {
    const { token, subjects } = start;
    const { reader } = this.#services.link;
    const [first] = await reader.readSubject(subjects.stream, token.subject);
    if (first && first.sequence < token.streamSequence) return; // it began no run: another one did
    const run = new PassRun({
      ...start,
      services: this.#services,
      definition: start.task.definition,
      isChild: false,
      state: initialState(token.streamSequence, token.timeMs),
      events: NO_EVENTS,
      nonce: "",
      starter: undefined,
      slot,
      pool: start.task.pool,
      held: this.#held,
    });
    run.committer.add({ kind: "ended", outcome: { status: "failed", error: toFailure(problem) } });
    try {
      await run.committer.commit();
    } finally {
      run.leave();
    }
  }

  #passRun(read: Reading, slot: Slot): PassRun {
    const { events, nonce, parent } = read.warm?.origin ?? originOf(read);
    return new PassRun({
      services: this.#services,
      address: read.address,
      definition: read.task.definition,
      subjects: read.subjects,
      isChild: read.isChild,
      state: read.state,
      token: read.token,
      events,
      nonce,
      starter: parent,
      slot,
      pool: read.task.pool,
      held: this.#held,
    });
  }

  // --- the pass

  async #pass(run: PassRun, read: Reading): Promise<true> {
    const { definition } = read.task;
    const { payloads } = this.#services;
    let end: PassEnd;
    try {
      end =
        definition.kind === "regular"
          ? await runRegular(run, definition, await payloads.fetch(read.start?.input))
          : await this.#durable(run, read);
    } catch (error) {
      if (!(error instanceof PayloadMissingError)) throw error;
      end = await pauseWithout(run, error);
    }
    if (end === "lost") run.leave();
    return true;
  }

  async #durable(run: PassRun, read: Reading): Promise<PassEnd> {
    let code = read.warm ?? (await callCode(run, read, originOf(read)));
    code.attach(run);
    for (;;) {
      const end = await new DurablePass(run, code.execution).run();
      if (end === "suspended") this.#warm.put(run.history, code);
      else if (end === "ended") this.#warm.drop(run.history);
      if (end !== "continued") return end;
      run.beginAnew();
      code = await callCode(run, read, code.origin);
    }
  }
}
