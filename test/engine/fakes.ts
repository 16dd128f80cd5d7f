/** Parts of an engine without a server: time is stepped, writes are kept, reads are answered by hand. */
import type { EngineServices } from "../../engine/services.ts";
import { SteppingClock } from "../../shared/clock.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { decodeHeaders, encodeHeaders, type HeaderList } from "../../shared/jetstream/headers.ts";
import type { GuardedOptions, GuardedOutcome } from "../../shared/jetstream/publisher.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { silentLog } from "../../shared/logger.ts";
import { decodeReady, type Ready } from "../../shared/messages.ts";
import { Names } from "../../shared/subjects.ts";

/** A guarded write that was asked for. */
export interface Written {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly options: GuardedOptions;
}

/** Services over a link that keeps what is written. */
export class FakeServices {
  readonly clock: SteppingClock = new SteppingClock(1_000_000);
  readonly names: Names = new Names("ns", 2);
  readonly written: Written[] = [];
  /** What the server answers to a write; by default that it is stored. */
  answer: (write: Written) => Promise<GuardedOutcome> | GuardedOutcome = () => stored(1);
  /** The last message of any subject, by whoever is asked. */
  last: (subject: string) => StoredMessage | undefined = () => undefined;
  readonly services: EngineServices;

  constructor() {
    const publisher = {
      guardedPublish: async (subject: string, body: Uint8Array, options: GuardedOptions) => {
        const write = { subject, body, options };
        this.written.push(write);
        return this.answer(write);
      },
    };
    const reader = {
      lastFor: async (_stream: string, subject: string) => this.last(subject),
      streamState: async () => ({
        created: "",
        firstSequence: 1,
        lastSequence: 1,
        messageCount: 1,
        config: {},
        leader: undefined,
        answeredAtMs: this.clock.now(),
      }),
    };
    const { clock } = this;
    const nc = { isClosed: () => true };
    const link = { publisher, reader, clock, nc, requests: { ask: async () => {} } };
    this.services = {
      link: link as unknown as NatsLink,
      names: this.names,
      clock,
      log: silentLog,
      undecodable: { note() {} },
      failpoint: () => undefined,
      signal: new AbortController().signal,
    };
  }

  /** The tokens that were published. */
  get readies(): Ready[] {
    return this.written
      .filter(({ subject }) => subject.endsWith(".token.ready"))
      .map(({ body, subject }) => decodeReady(body, subject));
  }
}

/** The outcome of a write that was stored. */
export function stored(sequence: number): GuardedOutcome {
  return { ok: true, stream: "S", sequence, duplicate: false, uncertain: false };
}

/** A stored message, as a follower or a read hands it over. */
export function storedMessage(
  sequence: number,
  subject: string,
  options: { readonly data?: Uint8Array; readonly headers?: HeaderList } = {},
): StoredMessage {
  const { data = new Uint8Array(0), headers = [] } = options;
  return { sequence, subject, timeMs: 0, data, headers: decodeHeaders(encodeHeaders(headers)) };
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
