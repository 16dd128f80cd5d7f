/** A run without a worker: writes the messages that a worker would write, and reads its tokens. */
import type { Entry, LeafCondition } from "../../shared/entries.ts";
import { encodeCommit } from "../../shared/entries.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import type { GuardedOutcome } from "../../shared/jetstream/publisher.ts";
import {
  decodeReady,
  encodeStart,
  encodeWait,
  type ParentReference,
  type Ready,
  type WaitRegistration,
  type WatchedLeaf,
} from "../../shared/messages.ts";
import {
  type Names,
  REGISTERS_HEADER,
  type RunAddress,
  STATUS_HEADER,
} from "../../shared/subjects.ts";
import { until } from "./until.ts";

/** What a registration may say besides its leaves. */
export type WaitExtras = Partial<Pick<WaitRegistration, "consumed" | "passMs">>;

let runCount = 0;

/** One run, written by hand. */
export class FakeRun {
  readonly address: RunAddress;
  readonly prefix: string;
  readonly stream: string;
  readonly isChild: boolean;
  readonly #parent: FakeRun | undefined;
  readonly #link: NatsLink;
  startSequence = 0;
  tail = 0;

  constructor(
    link: NatsLink,
    names: Names,
    options: {
      readonly taskName?: string;
      readonly runId?: string;
      readonly isChild?: boolean;
      readonly parent?: FakeRun;
    } = {},
  ) {
    const {
      taskName = "fake",
      runId = `run-${process.pid}-${runCount++}`,
      isChild = options.parent !== undefined,
    } = options;
    this.#parent = options.parent;
    this.#link = link;
    this.address = { taskName, runId };
    this.isChild = isChild;
    ({ prefix: this.prefix, stream: this.stream } = names.run(this.address));
  }

  /** What the start of a child says of it. */
  get asParent(): ParentReference {
    return { ...this.address, startSequence: this.startSequence, key: "w0 child" };
  }

  get history(): string {
    return `${this.prefix}.${this.isChild ? "c" : "h"}`;
  }

  /** Publishes the start. */
  async start(after = 0): Promise<this> {
    const events = { after, created: "" };
    const start = { input: null, events, nonce: "n", by: "test" };
    const parent = this.#parent?.asParent;
    const body = encodeStart(parent ? { ...start, parent } : start);
    const outcome = await this.#link.publisher.guardedPublish(`${this.prefix}.token.start`, body, {
      expect: 0,
    });
    this.startSequence = stored(outcome);
    return this;
  }

  /** Appends a commit. */
  async commit(entries: readonly Entry[], status: string, more: HeaderList = []): Promise<number> {
    const { startSequence } = this;
    const body = encodeCommit(
      { startSequence, pass: "p", token: startSequence, time: 0, entries },
      "",
    );
    const outcome = await this.#link.publisher.guardedPublish(this.history, body, {
      expect: this.tail,
      headers: [[STATUS_HEADER, status], ...more],
    });
    this.tail = stored(outcome);
    return this.tail;
  }

  /** Claims the run, as the owner of a token would. */
  async claim(): Promise<number> {
    return this.commit([{ kind: "claimed", worker: "w", because: "match" }], "running");
  }

  /** Ends the run. */
  async end(): Promise<number> {
    const outcome = { status: "completed", output: this.address.runId } as const;
    return this.commit([{ kind: "ended", outcome }], "completed");
  }

  /** Ends the run badly. */
  async fail(status: "failed" | "canceled" = "failed"): Promise<number> {
    const outcome = { status, error: { name: "Error", message: "no" } } as const;
    return this.commit([{ kind: "ended", outcome }], status);
  }

  /**
   * Suspends the run: the waiting commit, without any registration.
   * @param registers Which ones it announces.
   */
  async suspend(registers?: string): Promise<number> {
    const headers: HeaderList = registers === undefined ? [] : [[REGISTERS_HEADER, registers]];
    return this.commit([{ kind: "waiting" }], "waiting", headers);
  }

  /** Registers leaves for the last commit, guarded by it. */
  async register(
    leaves: readonly LeafCondition[],
    extras: WaitExtras = {},
  ): Promise<GuardedOutcome> {
    return this.registerAt(this.tail, leaves, extras);
  }

  /** Registers leaves for an earlier waiting commit, as a slow worker might. */
  async registerAt(
    waitSequence: number,
    leaves: readonly LeafCondition[],
    { consumed = [], passMs = 1 }: WaitExtras = {},
  ): Promise<GuardedOutcome> {
    const { startSequence, isChild } = this;
    const watched = leaves.map((condition, i) => ({ key: `w${i} x`, leaf: 0, condition }));
    const body = encodeWait({
      waitSequence,
      startSequence,
      isChild,
      leaves: watched as WatchedLeaf[],
      consumed,
      passMs,
    });
    return this.#link.publisher.guardedPublish(`${this.prefix}.wait`, body, {
      expect: waitSequence,
      expectSubject: this.history,
    });
  }

  /** Suspends and registers, as a worker does. */
  async waitFor(leaves: readonly LeafCondition[], extras: WaitExtras = {}): Promise<number> {
    await this.suspend();
    stored(await this.register(leaves, extras));
    return this.tail;
  }

  /** The tokens besides the start, in the order in which they were stored. */
  async readies(): Promise<Ready[]> {
    const subject = `${this.prefix}.token.ready`;
    const messages = await this.#link.reader.readSubject(this.stream, subject);
    return messages.map(({ data }) => decodeReady(data, subject));
  }

  /** Waits for the token that answers the last commit. */
  async ready(): Promise<Ready> {
    return until(async () => (await this.readies()).find(({ answers }) => answers === this.tail), {
      what: `a token for ${this.address.runId}`,
    });
  }
}

function stored(outcome: GuardedOutcome): number {
  if (!outcome.ok) throw new Error(`The message was not stored: ${outcome.kind}`);
  return outcome.sequence;
}
