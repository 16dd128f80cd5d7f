/** What a pass holds while it goes through a run: token, slot, claim, and the way to its history. */

import { setMaxListeners } from "node:events";
import { continuations, operationId } from "../shared/continuation.ts";
import { wantsEnd } from "../shared/end-listener.ts";
import { type RandomSource, seededRandom } from "../shared/ids.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import type { CancelRequest, EventPosition } from "../shared/messages.ts";
import { passId } from "../shared/pass-id.ts";
import type { RunState } from "../shared/run-state.ts";
import type { ServerClock } from "../shared/server-clock.ts";
import type { RunAddress, RunSubjects } from "../shared/subjects.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import { derivedChildId, type ParentRun } from "./children.ts";
import { Committer } from "./committer.ts";
import type { HeldRun, HeldRuns } from "./held-runs.ts";
import { longHistory } from "./operation-limits.ts";
import type { RunPlace } from "./registration.ts";
import type { RunLimits } from "./run-limits.ts";
import type { Services } from "./services.ts";
import type { Slot, SlotPool } from "./slots.ts";
import type { StepRun } from "./steps.ts";
import { stowValues } from "./stowed-values.ts";

/** What a pass is made from. */
export interface PassRunOptions {
  readonly services: Services;
  readonly address: RunAddress;
  readonly definition: TaskDefinition;
  readonly subjects: RunSubjects;
  readonly isChild: boolean;
  readonly state: RunState;
  readonly events: EventPosition;
  /** Names the call that started the run. */
  readonly nonce: string;
  /** The run that started it, of a child. */
  readonly starter: RunAddress | undefined;
  readonly token: DeliveredMessage;
  readonly slot: Slot;
  readonly pool: SlotPool;
  readonly held: HeldRuns;
}

/** One pass's hold on its run. Given up once: by acknowledging the token or by leaving it. */
export class PassRun implements HeldRun, StepRun {
  readonly services: Services;
  readonly address: RunAddress;
  readonly place: RunPlace;
  readonly state: RunState;
  readonly token: DeliveredMessage;
  readonly stream: string;
  readonly history: string;
  readonly cancelSubject: string;
  readonly pass: string;
  readonly parent: ParentRun;
  readonly committer: Committer;
  readonly limits: RunLimits;
  readonly serverClock: ServerClock;
  /** Of the code that goes on with the run, if its task has versions. */
  readonly version: string | undefined;
  provenAt: number;
  #slot: Slot;
  readonly #pool: SlotPool;
  readonly #held: HeldRuns;
  #isOver = false;
  #isInterrupted: boolean;
  #request: CancelRequest | undefined;
  readonly #nonce: string;
  /** The commit that ended the run, until its starter is told. */
  #endBody: Uint8Array | undefined;
  // Made when somebody looks: most runs are over before anybody does.
  #over: AbortController | undefined;
  #user: AbortController | undefined;
  #random: RandomSource | undefined;
  #onOver: (() => void) | undefined;
  #onOutlived: (() => void) | undefined;
  #onCancel: ((request: CancelRequest) => void) | undefined;

  constructor(options: PassRunOptions) {
    const { services, address, subjects, isChild, state, token } = options;
    this.services = services;
    this.address = address;
    this.history = `${subjects.prefix}.${isChild ? "c" : "h"}`;
    this.place = {
      prefix: subjects.prefix,
      history: this.history,
      isChild,
      eventsCreated: options.events.created,
    };
    this.cancelSubject = `${subjects.prefix}.cancel`;
    this.stream = subjects.stream;
    this.state = state;
    this.token = token;
    const { taskName, runId } = address;
    const { startSequence } = state;
    this.parent = { taskName, runId, startSequence, events: options.events };
    this.serverClock = services.serverClock(subjects.shard);
    this.pass = passId(
      { worker: services.workerId, pool: options.definition.kind },
      options.held.takeOrdinal(),
    );
    this.limits = options.definition;
    this.version = options.definition.version;
    this.#isInterrupted = state.interruption !== undefined;
    this.provenAt = token.requestedAt;
    this.#slot = options.slot;
    this.#pool = options.pool;
    this.#held = options.held;
    this.#nonce = options.nonce;
    this.committer = new Committer({
      publisher: services.link.publisher,
      reader: services.link.reader,
      stream: subjects.stream,
      history: this.history,
      state,
      pass: this.pass,
      token: token.streamSequence,
      now: () => this.serverClock.latest(),
      maxBytes: services.link.maxPayload,
      inlineBytes: services.payloads.inlineBytes,
      stow: (entries) => stowValues(services, { run: address, parent: options.starter }, entries),
      isOver: () => this.#isOver,
      onEnded: (body) => {
        this.#endBody = body;
      },
      onLongHistory: () =>
        services.log.warn(longHistory(state.entries), { ...address, entries: state.entries }),
    });
    this.#held.add(this);
  }

  /** Whether the pass is over before its time. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Aborts when the pass is over before its time. */
  get signal(): AbortSignal {
    this.#over ??= aborter(this.#isOver);
    return this.#over.signal;
  }

  /** The request to cancel the run, if this pass has heard of one. */
  get cancelRequest(): CancelRequest | undefined {
    return this.#request;
  }

  /** What user code gets: aborts also when the run is canceled or has used up its time. */
  get userSignal(): AbortSignal {
    this.#user ??= aborter(this.#isOver || this.#isInterrupted);
    return this.#user.signal;
  }

  /** Tells user code by its signal that it is to stop. */
  interrupt(): void {
    this.#isInterrupted = true;
    this.#user?.abort();
  }

  get random(): RandomSource {
    this.#random ??= seededRandom(this.pass);
    return this.#random;
  }

  /** Whether the run is surely ours (rule 8). */
  prove(): boolean | Promise<boolean> {
    return this.#held.prove(this);
  }

  /** Behind which event the events of the present history begin. */
  get eventsAfter(): number {
    return this.state.beginning?.eventsAfter ?? this.parent.events.after;
  }

  /** Names an operation among those of all the run's histories. */
  operationId(key: string): string {
    return operationId(key, continuations(this.state));
  }

  /** The run has continued: what its code had under way is told to stop, what it begins now is not. */
  beginAnew(): void {
    const before = this.#user;
    this.#user = undefined;
    before?.abort();
  }

  /** The id of a child by its ordinal. */
  childId(ordinal: number): string {
    return derivedChildId(this.parent, ordinal);
  }

  /** Notes that a commit was stored that was sent at this monotonic time. */
  noteProof(sentAt: number): void {
    this.provenAt = Math.max(this.provenAt, sentAt);
  }

  /** Gives the slot back. Safe to repeat. */
  release(): void {
    this.#slot.release();
  }

  /** Takes a slot again, when one is free. */
  async reacquire(): Promise<void> {
    this.#slot = await this.#pool.acquire(this.address, () => this.services.clock.now());
  }

  /** What the token stands for is stored: it may go. Ends the hold without a word to the code. */
  acknowledge(): void {
    this.#letGo();
    this.token.ack();
  }

  /** The pass is over before its time: the code is told, the token is left to be delivered again. */
  leave(): void {
    this.#letGo();
    this.#isOver = true;
    this.#over?.abort();
    this.#user?.abort();
    this.#onOver?.();
  }

  onHandOver(): void {
    this.leave();
    this.token.nak();
  }

  /** Calls back when the pass is over before its time. */
  whenOver(callback: () => void): void {
    this.#onOver = callback;
  }

  /** Calls back when the worker has outlived the run, which is suspected of killing workers. */
  whenOutlived(callback: () => void): void {
    this.#onOutlived = callback;
  }

  onOutlived(): void {
    this.#onOutlived?.();
  }

  /** Calls back when somebody asks to cancel the run. */
  whenCanceled(callback: (request: CancelRequest) => void): void {
    this.#onCancel = callback;
  }

  onLost(): void {
    const { taskName, runId } = this.address;
    this.services.log.warn("The run was taken over by another worker; this pass stops.", {
      taskName,
      runId,
    });
    this.leave();
  }

  onCancel(request: CancelRequest): void {
    if (this.#request && (this.#request.isTermination || !request.isTermination)) return;
    this.#request = request;
    this.interrupt();
    this.#onCancel?.(request);
  }

  /** Not before the hold ends: with the acknowledgement it is one write to the socket. */
  #tellStarter(): void {
    const { link, names } = this.services;
    if (this.#endBody && wantsEnd(this.#nonce))
      link.publisher.tell(names.endSubject(this.#nonce), this.#endBody);
    this.#endBody = undefined;
  }

  #letGo(): void {
    this.#held.remove(this);
    this.release();
    this.committer.abandon();
    this.#tellStarter();
  }
}

function aborter(isAborted: boolean): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // every write and read under way listens to it
  if (isAborted) controller.abort();
  return controller;
}
