/**
 * A NATS server with JetStream, in memory: as much of it as Contrail uses, with the same answers, in
 * whatever time its clock keeps, and with faults where a policy wants them.
 *
 * M1. Nothing happens in it but by a message that arrives or a timer of its clock that fires, so the
 *     same messages at the same times come to the same end.
 * M2. It is held against the real server by one script of random requests, answer for answer.
 *
 * Not in it: accounts and permissions, atomic batches, message ids, counters, mirrors and sources,
 * push consumers, priorities, repeating schedules, limits of size.
 */
import type { Clock } from "../clock.ts";
import { type DirectRequest, directGet } from "./direct-get.ts";
import { type FaultPolicy, noFaults } from "./faults.ts";
import { statusHeaders } from "./header-text.ts";
import { answerApi } from "./jetstream-api.ts";
import { type ClientEnd, MemoryConnection, type SentMessage } from "./memory-connection.ts";
import { MemoryStream, type Stored } from "./memory-stream.ts";
import type { OutgoingMessage } from "./pull-consumer.ts";
import type { StreamSettings } from "./stream-settings.ts";
import { Subscriptions } from "./subscriptions.ts";

/** What a server is made with. */
export interface MemoryServerOptions {
  /** Its own clock: when messages are stored, schedules fire and claims run out. */
  readonly clock: Clock;
  /** What goes wrong. Default nothing. */
  readonly faults?: FaultPolicy;
  /** Told of everything that happens, for traces. */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** Something that happened at the server. */
export interface ServerEvent {
  readonly atMs: number;
  readonly what: string;
  readonly subject: string;
  /** A sequence, or another number that goes with it. */
  readonly number: number;
  readonly client?: string;
}

/** An interruption of the whole server or of the leader of all streams. */
export interface Outage {
  /** How long nothing is answered. */
  readonly forMs: number;
}

const NOTHING = new Uint8Array(0);
const API = "$JS.API.";
const PULL = "$JS.API.CONSUMER.MSG.NEXT.";
const DIRECT = "$JS.API.DIRECT.GET.";
const ACK = "$JS.ACK.";
const NO_RESPONDERS = statusHeaders("503");
/** Clients notice within this time that their server is gone. */
const NOTICED_AFTER_MS = 50;

/** A server. */
export class MemoryServer {
  readonly clock: Clock;
  readonly faults: FaultPolicy;
  /** As the real one that it stands for. */
  readonly version: string = "2.15.1";
  readonly maxPayload: number = 1_048_576;
  readonly #streams: Map<string, MemoryStream> = new Map();
  readonly #subscriptions: Subscriptions<(message: OutgoingMessage) => void> = new Subscriptions();
  readonly #connections: Set<MemoryConnection> = new Set();
  readonly #onEvent: ((event: ServerEvent) => void) | undefined;
  #awayUntil = 0;
  #underWay = 0;
  #activeAt = 0;

  constructor({ clock, faults = noFaults, onEvent }: MemoryServerOptions) {
    this.clock = clock;
    this.faults = faults;
    this.#onEvent = onEvent;
  }

  /** The streams by name, for looking at them. */
  get streams(): ReadonlyMap<string, MemoryStream> {
    return this.#streams;
  }

  /** Whether nothing is on its way and no consumer waits for an acknowledgement. */
  get isQuiet(): boolean {
    if (this.#underWay > 0) return false;
    for (const connection of this.#connections) if (connection.inFlight > 0) return false;
    for (const stream of this.#streams.values())
      for (const consumer of stream.consumers.values())
        if (consumer.unacknowledged.count > 0) return false;
    return true;
  }

  /** Monotonic time of the last write or answer, other than to a key-value bucket. */
  get activeAt(): number {
    return this.#activeAt;
  }

  /** When the next schedule is due that will fire; nothing when there is none. */
  get nextDueAt(): number | undefined {
    let next: number | undefined;
    for (const { nextDueAt } of this.#streams.values())
      if (nextDueAt !== undefined && (next === undefined || nextDueAt < next)) next = nextDueAt;
    return next;
  }

  /** Opens a connection. */
  connect(name: string, client: ClientEnd): MemoryConnection {
    const { clock, faults } = this;
    const publish = (from: string, message: SentMessage): void => this.#receive(from, message);
    const subscribe = this.#subscriptions.add.bind(this.#subscriptions);
    const connection = new MemoryConnection(name, { clock, faults, publish, subscribe }, client);
    this.#connections.add(connection);
    return connection;
  }

  /** Another server leads all streams and consumers: for a while nobody answers for them. */
  changeLeader({ forMs }: Outage): void {
    this.#note("leader change", "", forMs);
    this.#interrupt("leader-change", forMs);
  }

  /** The server crashes and comes back with what it has stored. Connections break. */
  restart({ forMs }: Outage): void {
    this.#note("restart", "", forMs);
    this.#interrupt("crash", forMs);
    for (const connection of this.#connections)
      connection.break({ noticedAfterMs: NOTICED_AFTER_MS, backAfterMs: forMs });
  }

  /** Ends all timers of the server. */
  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  #interrupt(how: "leader-change" | "crash", forMs: number): void {
    this.#awayUntil = this.clock.monotonic() + forMs;
    for (const stream of this.#streams.values()) stream.interrupt(how);
  }

  // --- messages that arrive

  #receive(client: string, message: SentMessage): void {
    const { subject } = message;
    if (subject.startsWith(ACK)) this.#takeAnswer(message);
    else if (subject.startsWith(PULL)) this.#takePull(message);
    else if (subject.startsWith(DIRECT)) this.#takeDirectGet(message);
    else if (subject.startsWith(API)) this.#takeApi(client, message);
    else this.#takePublish(client, message);
  }

  get #isAway(): boolean {
    return this.clock.monotonic() < this.#awayUntil;
  }

  #takePublish(client: string, message: SentMessage): void {
    const { subject } = message;
    const listeners = this.#subscriptions.match(subject);
    for (const listener of listeners) listener(message);
    const stream = this.#streamOf(subject);
    if (!stream) {
      if (listeners.length === 0) this.#noResponders(message);
      return;
    }
    if (!stream.name.startsWith("KV_")) this.#activeAt = this.clock.monotonic();
    const fault = this.faults.write({ stream: stream.name, subject, client });
    if (fault) this.#note(`write ${fault.kind}`, subject, 0, client);
    switch (fault?.kind) {
      case undefined:
        return this.#write(stream, client, message);
      case "lost":
        return;
      case "reply-lost":
        return this.#write(stream, client, { ...message, reply: "" });
      case "conflict":
        return this.#acknowledge(stream, message.reply, {
          ok: false,
          refusal: { code: 400, err_code: 10164, description: "wrong last sequence" },
        });
      case "repeated":
        this.#write(stream, client, message);
        return this.#later(fault.ms, () => this.#write(stream, client, { ...message, reply: "" }));
      case "delayed":
        return this.#later(fault.ms, () => this.#write(stream, client, message));
    }
  }

  #streamOf(subject: string): MemoryStream | undefined {
    for (const stream of this.#streams.values()) if (stream.takes(subject)) return stream;
    return undefined;
  }

  #write(stream: MemoryStream, client: string, message: SentMessage): void {
    if (this.#isAway) {
      // Nobody leads: either nobody listens, or somebody who answers no more.
      if (this.faults.arrives()) this.#noResponders(message);
      return;
    }
    if (this.#streams.get(stream.name) !== stream) return this.#noResponders(message);
    const { subject, reply } = message;
    stream.write(message, (stored) => {
      if (stored.ok) this.#note("write", subject, stored.sequence, client);
      else this.#note("write refused", subject, stored.refusal.err_code, client);
      this.#acknowledge(stream, reply, stored);
    });
  }

  #acknowledge(stream: MemoryStream, reply: string | undefined, stored: Stored): void {
    if (!reply) return;
    const { name } = stream;
    const text = stored.ok
      ? `{"stream":"${name}","seq":${stored.sequence}}`
      : JSON.stringify({ error: stored.refusal, stream: name, seq: 0 });
    this.#send(reply, { subject: reply, headers: "", data: Buffer.from(text) });
  }

  #takeAnswer({ subject, reply, data }: SentMessage): void {
    const [, , streamName = "", name = "", , streamSequence, consumerSequence] = subject.split(".");
    const answer = (): void => {
      const consumer = this.#streams.get(streamName)?.consumers.get(name);
      if (!consumer || this.#isAway) return;
      this.#activeAt = this.clock.monotonic();
      const body = Buffer.from(data).toString();
      this.#note(`answer ${body || "+ACK"}`, `${streamName} ${name}`, Number(streamSequence));
      const delivery = { stream: Number(streamSequence), consumer: Number(consumerSequence) };
      const isTold = consumer.answer(delivery, body);
      if (reply && isTold) this.#send(reply, { subject: reply, headers: "", data: NOTHING });
    };
    const fault = this.faults.answer({ stream: streamName, consumer: name });
    if (fault) this.#note(`answer ${fault.kind}`, `${streamName} ${name}`, Number(streamSequence));
    if (fault?.kind === "delayed") this.#later(fault.ms, answer);
    else if (!fault) answer();
  }

  #takePull(message: SentMessage): void {
    const { subject, reply, data } = message;
    const [streamName = "", name = ""] = subject.slice(PULL.length).split(".");
    const consumer = this.#streams.get(streamName)?.consumers.get(name);
    if (!consumer || this.#isAway) this.#noResponders(message);
    else if (reply) consumer.request(reply, Buffer.from(data).toString());
  }

  #takeDirectGet(message: SentMessage): void {
    const { subject, reply, data } = message;
    const [name = "", ...rest] = subject.slice(DIRECT.length).split(".");
    const stream = this.#streams.get(name);
    if (!stream?.settings.allowsDirect) return this.#noResponders(message);
    if (!reply) return;
    const request = rest.length > 0 ? { last_by_subj: rest.join(".") } : parseRequest(data);
    for (const answer of directGet(name, stream.read(false), request))
      this.#send(reply, { subject: reply, ...answer });
  }

  #takeApi(client: string, { subject, reply, data }: SentMessage): void {
    // Without a leader there is silence.
    if (this.#isAway) return;
    const path = subject.slice(API.length);
    const answer = answerApi(this.#apiHost, path, Buffer.from(data).toString());
    if (path.startsWith("STREAM.") || path.startsWith("CONSUMER."))
      this.#note("api", path, 0, client);
    if (answer === undefined) this.#noResponders({ subject, ...(reply ? { reply } : {}) });
    else if (reply) {
      const body = Buffer.from(JSON.stringify(answer));
      this.#send(reply, { subject: reply, headers: "", data: body });
    }
  }

  #noResponders({ reply }: { readonly subject: string; readonly reply?: string }): void {
    if (reply) this.#send(reply, { subject: reply, headers: NO_RESPONDERS, data: NOTHING });
  }

  // --- what streams and the API need

  get #apiHost(): Parameters<typeof answerApi>[0] {
    return {
      streams: this.#streams,
      now: () => this.clock.now(),
      addStream: (settings) => this.#addStream(settings),
      removeStream: (name) => {
        this.#streams.get(name)?.close();
        return this.#streams.delete(name);
      },
    };
  }

  #addStream(settings: StreamSettings): MemoryStream {
    const { clock, faults } = this;
    const stream = new MemoryStream(settings, {
      clock,
      faults,
      send: (subject, message) => this.#send(subject, message),
      hasInterest: (subject) => this.#subscriptions.has(subject),
      note: (what, subject, number) => this.#note(what, subject, number),
    });
    this.#streams.set(settings.name, stream);
    return stream;
  }

  #send(subject: string, message: OutgoingMessage): void {
    for (const listener of this.#subscriptions.match(subject)) listener(message);
  }

  #later(ms: number, act: () => void): void {
    this.#underWay++;
    this.clock.after(ms, () => {
      this.#underWay--;
      act();
    });
  }

  #note(what: string, subject: string, number: number, client?: string): void {
    this.#onEvent?.({
      atMs: this.clock.now(),
      what,
      subject,
      number,
      ...(client === undefined ? {} : { client }),
    });
  }
}

function parseRequest(data: Uint8Array): DirectRequest | undefined {
  try {
    return JSON.parse(Buffer.from(data).toString()) as DirectRequest;
  } catch {
    return undefined;
  }
}
