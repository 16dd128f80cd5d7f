/**
 * Stands between one worker (or engine) of a test and its connection, where a network and a dying
 * process do what they do: messages are held, dropped, sent late, or sent without a way back for the
 * answer. What arrives is not touched.
 */
import type { Clock } from "../../shared/clock.ts";
import type { Wire } from "../../shared/jetstream/wire.ts";

/** One message on its way to the server. */
export interface Outgoing {
  readonly subject: string;
  readonly text: string;
}

/** What becomes of a message. */
export type Fate =
  | "send"
  /** It never arrives. */
  | "drop"
  /** It arrives, its answer does not. */
  | "lose-answer"
  /** It arrives when the test says so. */
  | "hold";

type Publish = Wire["nc"]["publish"];

/** A rule of a test, and what it caught. */
export interface Trap {
  /** The messages that met this rule. */
  readonly caught: readonly Outgoing[];
  /** Sends what is held, in order, and lets all later messages pass. */
  open(): void;
}

interface Rule {
  readonly catches: (message: Outgoing) => boolean;
  readonly fate: Fate;
  left: number;
  readonly caught: Outgoing[];
  readonly held: (() => void)[];
}

/** The outgoing side of one connection. */
export class Wiretap {
  readonly wire: Wire;
  /** Everything that was sent, in order. */
  readonly sent: Outgoing[] = [];
  readonly #publish: Publish;
  readonly #rules: Rule[] = [];
  #isCut = false;
  #paused: (() => void)[] | undefined;

  /** @param maxPayload What the server is said to accept, if less than it does. */
  constructor(link: Wire, clock: Clock, maxPayload: number = Number.POSITIVE_INFINITY) {
    this.#publish = link.nc.publish.bind(link.nc);
    const publish: Publish = (subject, payload, options) => this.#send(subject, payload, options);
    const nc = new Proxy(link.nc, {
      get(target, name) {
        if (name === "publish") return publish;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    this.wire = {
      nc,
      clock,
      get isConnected() {
        return link.isConnected;
      },
      get maxPayload() {
        return Math.min(link.maxPayload, maxPayload);
      },
      inboxPrefix: `${link.inboxPrefix}t.`,
      onDisconnect: (listener) => link.onDisconnect(listener),
      onReconnect: (listener) => link.onReconnect(listener),
      onClose: (listener) => link.onClose(listener),
      onForbidden: (listener) => link.onForbidden(listener),
    };
  }

  /** Decides what becomes of the next messages that match; the oldest rule that matches counts. */
  trap(
    catches: (message: Outgoing) => boolean,
    fate: Exclude<Fate, "send">,
    times: number = Number.POSITIVE_INFINITY,
  ): Trap {
    const rule: Rule = { catches, fate, left: times, caught: [], held: [] };
    this.#rules.push(rule);
    return {
      caught: rule.caught,
      open: () => {
        rule.left = 0;
        for (const send of rule.held.splice(0)) send();
      },
    };
  }

  /** Nothing gets out any more: the process is dead. */
  cut(): void {
    this.#isCut = true;
  }

  /** Nothing gets out until `resume`: the process is stopped. */
  pause(): void {
    this.#paused ??= [];
  }

  /** Sends what was to be sent meanwhile. */
  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const send of waiting) send();
  }

  /** Resolves when the server has everything that was sent so far. */
  async flush(): Promise<void> {
    await this.wire.nc.flush();
  }

  #send(...message: Parameters<Publish>): void {
    if (this.#isCut) return;
    if (this.#paused) {
      this.#paused.push(() => this.#send(...message));
      return;
    }
    const [subject, payload, options] = message;
    const outgoing = { subject, text: textOf(payload) };
    const rule = this.#rules.find(({ left, catches }) => left > 0 && catches(outgoing));
    if (!rule) return this.#deliver(outgoing, message);
    rule.left--;
    rule.caught.push(outgoing);
    if (rule.fate === "hold") rule.held.push(() => this.#deliver(outgoing, message));
    else if (rule.fate === "lose-answer")
      this.#deliver(outgoing, [subject, payload, { ...options, reply: `${options?.reply}.lost` }]);
  }

  #deliver(outgoing: Outgoing, message: Parameters<Publish>): void {
    if (this.#isCut) return;
    this.sent.push(outgoing);
    this.#publish(...message);
  }
}

/** Matches what answers a token: `+ACK`, `-NAK`, `+WPI`, or any of them. */
export function answers(sequence: number, verb = ""): (message: Outgoing) => boolean {
  return ({ subject, text }) =>
    subject.startsWith("$JS.ACK.") &&
    Number(subject.split(".").at(-4)) === sequence &&
    text.startsWith(verb);
}

/** Matches what is written to one kind of subject of the log: `h`, `timer`, `ready`. */
export function writes(kind: string): (message: Outgoing) => boolean {
  return ({ subject }) => !subject.startsWith("$") && subject.endsWith(`.${kind}`);
}

function textOf(payload: Parameters<Publish>[1]): string {
  if (payload === undefined) return "";
  return typeof payload === "string" ? payload : Buffer.from(payload).toString("latin1");
}
