/**
 * Plays a script of requests to a server and writes down what it answers, in words that are the same
 * for every server that answers the same: without times, and with names of its own replaced.
 */
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import {
  asClientHeaders,
  encodeHeaders,
  type HeaderList,
} from "../../../shared/jetstream/headers.ts";
import { HEADERS } from "../../../shared/subjects.ts";
import type { Command, Guard } from "./conformance-commands.ts";

/** Where a script is played. */
export interface Stage {
  readonly link: NatsLink;
  /** Name of the stream and, in lower case, of its subjects. Must not exist. */
  readonly name: string;
  readonly replicas: 1 | 3;
  pause(ms: number): Promise<void>;
  /** Returns when so many messages have arrived in all as on the first stage, or all that will. */
  settle(arrived: () => number, step: number): Promise<void>;
  /**
   * Asks what the consumer says about itself, again and again if need be: a real one counts what is
   * new some time after it is stored. `index` counts these questions.
   */
  inform(ask: () => Promise<string>, index: number): Promise<string>;
  /** Whether to go on after this line: not after the first that is another than expected. */
  isAsExpected(line: Line, step: number): boolean;
}

/** What one request came to. */
export interface Line {
  readonly asked: string;
  readonly answers: readonly string[];
  /** What the consumer said about itself meanwhile. */
  readonly infos: readonly string[];
  /** Messages that had come by then without being asked for. */
  readonly arrived: number;
}

/** Time was short: what was to happen in a fifth of a second took longer. */
export class TooSlowError extends Error {}

type Message = Parameters<NatsLink["nc"]["publishMessage"]>[0];

interface Held {
  readonly reply: string;
  /** How often the consumer had been made again. */
  readonly life: number;
  readonly shown: string;
}

const SLOW = "slow";
const FAST = "fast";
const ACK_WAIT_MS = 500;
/** How long the part of a script may take whose outcome depends on time. */
const MOST_MS = 200;
/** Longer than anything in a script takes: then it does not happen. */
const GIVE_UP_MS = 10_000;
const NOTHING = new Uint8Array(0);

/**
 * Plays a script, up to the first line that is not as expected.
 * @returns An answer for each command, and then what came unasked.
 */
export async function play(stage: Stage, script: readonly Command[]): Promise<Line[]> {
  const player = new Player(stage);
  const lines: Line[] = [];
  try {
    await player.open();
    for (const command of script) {
      const informed = player.infos.length;
      const answers = await player.perform(command);
      await stage.settle(() => player.arrived, lines.length);
      const infos = player.infos.slice(informed);
      const line = { asked: JSON.stringify(command), answers, infos, arrived: player.arrived };
      lines.push(line);
      if (!stage.isAsExpected(line, lines.length - 1)) return lines;
    }
    lines.push(...(await player.end(lines.length)));
    return lines;
  } finally {
    await player.close();
  }
}

class Player {
  readonly #stage: Stage;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #inbox: string;
  readonly #held: Held[] = [];
  readonly #open: { readonly asked: string; readonly lines: string[] }[] = [];
  readonly #live: string[] = [];
  readonly #listening: Set<() => void> = new Set();
  #replies = 0;
  #life = 0;
  arrived = 0;
  readonly infos: string[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#stream = stage.name;
    this.#prefix = stage.name.toLowerCase();
    this.#inbox = `${stage.link.inboxPrefix}${stage.name}.`;
  }

  async open(): Promise<void> {
    const config = {
      name: this.#stream,
      subjects: [`${this.#prefix}.>`],
      num_replicas: this.#stage.replicas,
      allow_msg_schedules: true,
      allow_msg_ttl: true,
      allow_rollup_hdrs: true,
      allow_direct: true,
      republish: { src: `${this.#prefix}.>`, dest: `live.${this.#prefix}.>` },
    };
    await this.#api(`STREAM.CREATE.${this.#stream}`, config);
    await this.#api(`STREAM.CREATE.KV_${this.#stream}`, {
      name: `KV_${this.#stream}`,
      subjects: [`$KV.${this.#stream}.>`],
      num_replicas: this.#stage.replicas,
      max_msgs_per_subject: 1,
      discard: "new",
      allow_rollup_hdrs: true,
      allow_direct: true,
      allow_msg_ttl: true,
      subject_delete_marker_ttl: 5e9,
      deny_delete: true,
    });
    await this.#createSlow("all");
    await this.#api(`CONSUMER.CREATE.${this.#stream}.${FAST}`, {
      stream_name: this.#stream,
      config: {
        name: FAST,
        durable_name: FAST,
        filter_subject: `${this.#prefix}.fast.*`,
        ack_policy: "explicit",
        ack_wait: ACK_WAIT_MS * 1e6,
        max_ack_pending: -1,
      },
    });
    this.#listen(`live.${this.#prefix}.>`, (message) => {
      this.arrived++;
      this.#live.push(this.#show(message));
    });
    await this.#stage.link.nc.flush();
  }

  /** Ends all open pulls, and lists what came unasked. */
  async end(step: number): Promise<Line[]> {
    await this.#api(`CONSUMER.DELETE.${this.#stream}.${SLOW}`);
    await this.#stage.settle(() => this.arrived, step);
    const rest = { infos: [], arrived: this.arrived };
    const lines: Line[] = this.#open.map(({ asked, lines: answers }) => ({
      ...{ asked, answers },
      ...rest,
    }));
    return [...lines, { asked: "republished", answers: this.#live, ...rest }];
  }

  /** Removes the streams. */
  async close(): Promise<void> {
    for (const stop of this.#listening) stop();
    await this.#api(`STREAM.DELETE.${this.#stream}`);
    await this.#api(`STREAM.DELETE.KV_${this.#stream}`);
  }

  async perform(command: Command): Promise<string[]> {
    switch (command.kind) {
      case "publish":
        return this.#publish(command.subject, command, command.headers, command.data);
      case "schedule":
        return this.#schedule(command);
      case "cancel":
        return this.#publish(command.subject, command, [
          [HEADERS.scheduler, this.#full(command.scheduler)],
          [HEADERS.scheduleNext, command.next],
        ]);
      case "purge": {
        const { before, keep } = command;
        const filter = this.#full(command.filter);
        return [await this.#api(`STREAM.PURGE.${this.#stream}`, { filter, seq: before, keep })];
      }
      case "leader-get":
        return [await this.#leaderGet(command)];
      case "direct-get":
        return this.#directGet(command);
      case "page": {
        const { filter, from, batch } = command;
        return this.#direct({ seq: from, next_by_subj: this.#full(filter), batch });
      }
      case "multi-last": {
        const subjects = command.subjects.map((each) => this.#full(each));
        return this.#direct({ multi_last: subjects, up_to_seq: command.upTo });
      }
      case "pull":
        return this.#pull(command);
      case "pull-open":
        return this.#pullOpen(command);
      case "answer":
        return this.#answer(command);
      case "info":
        return this.#info();
      case "recreate":
        return this.#recreate(command.deliver);
      case "follow":
        return this.#follow(command);
      case "expire":
        return this.#expire(command.answers);
      case "outlive":
        return this.#outlive(command.key);
    }
  }

  // --- writes

  async #publish(
    subject: string,
    { guard }: { readonly guard?: Guard },
    headers: HeaderList,
    data = "",
  ): Promise<string[]> {
    const all = [...(await this.#guard(subject, guard)), ...headers].map(
      ([name, value]) => [name, value.replace(/^s\./, `${this.#prefix}.`)] as const,
    );
    const [answer] = await this.#ask(this.#full(subject), Buffer.from(data), { headers: all });
    return [answer ?? "nothing"];
  }

  async #guard(subject: string, guard: Guard | undefined): Promise<HeaderList> {
    if (!guard) return [];
    const guarded = this.#full(guard.subject ?? subject);
    const found = await this.#api(`STREAM.MSG.GET.${this.#stream}`, { last_by_subj: guarded });
    const last = Number(/"seq":(\d+)/.exec(found)?.[1] ?? 0);
    const expected = { last, none: 0, "one-less": Math.max(last - 1, 0), far: 1_000 }[guard.expect];
    const own = [HEADERS.expectSequence, String(expected)] as const;
    return guard.subject === undefined ? [own] : [own, [HEADERS.expectSubject, guarded]];
  }

  async #schedule(command: Extract<Command, { kind: "schedule" }>): Promise<string[]> {
    const { subject, at, target } = command;
    const instants = {
      past: "2020-01-01T00:00:00.5Z",
      far: "2199-01-01T00:00:00+02:00",
      malformed: "tomorrow",
    };
    const headers: (readonly [string, string])[] = [[HEADERS.schedule, `@at ${instants[at]}`]];
    if (target !== "")
      headers.push([
        HEADERS.scheduleTarget,
        target.startsWith("/") ? target.slice(1) : this.#full(target),
      ]);
    const [answer = ""] = await this.#publish(subject, command, [...headers, ...command.headers]);
    if (at !== "past" || !answer.includes('"stream"') || answer.includes('"error"'))
      return [answer];
    // It fires within a quarter of a second, and its own message goes.
    const sequence = Number(/"seq":(\d+)/.exec(answer)?.[1]);
    const hasFired = await this.#poll(20, async () => {
      const left = await this.#api(`STREAM.MSG.GET.${this.#stream}`, { seq: sequence });
      return left.includes('"error"');
    });
    return [answer, hasFired ? await this.#leaderGet({ subject: target }) : "never fires"];
  }

  // --- reads

  #leaderGet({ subject, sequence }: { subject?: string; sequence?: number }): Promise<string> {
    const request =
      subject === undefined ? { seq: sequence } : { last_by_subj: this.#full(subject) };
    return this.#api(`STREAM.MSG.GET.${this.#stream}`, request);
  }

  #directGet({ subject, sequence }: { subject?: string; sequence?: number }): Promise<string[]> {
    if (subject === undefined) return this.#direct({ seq: sequence });
    const target = `$JS.API.DIRECT.GET.${this.#stream}.${this.#full(subject)}`;
    return this.#ask(target, NOTHING);
  }

  #direct(request: object): Promise<string[]> {
    const body = Buffer.from(JSON.stringify(request));
    const isBatch = "batch" in request || "multi_last" in request;
    return this.#ask(`$JS.API.DIRECT.GET.${this.#stream}`, body, {
      isLast: (message) => !isBatch || statusOf(message) > 0,
    });
  }

  // --- pulls and answers

  /** Asks for what is there, and for an end at once. */
  async #pull({ batch, bytes }: { batch: number; bytes: number }): Promise<string[]> {
    await this.#info(); // lets the consumer count what it has before it says that it has nothing
    return this.#pullFrom(SLOW, {
      batch,
      no_wait: true,
      ...(bytes === 0 ? {} : { max_bytes: bytes }),
    });
  }

  async #pullFrom(
    consumer: string,
    request: { batch: number; max_bytes?: number; no_wait?: boolean },
    isAcknowledged = false,
  ): Promise<string[]> {
    let count = 0;
    // The end may overtake messages while their delivery is being replicated; it counts them.
    let sent = Number.POSITIVE_INFINITY;
    const answers = await this.#ask(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${consumer}`,
      Buffer.from(JSON.stringify(request)),
      {
        isLast: (message) => {
          if (statusOf(message) > 0) {
            const left = message.headers?.get("Nats-Pending-Messages") ?? "";
            sent = left === "" ? 0 : request.batch - Number(left);
            return count >= sent;
          }
          count++;
          if (isAcknowledged) this.#stage.link.nc.publish(message.reply ?? "", "+ACK");
          else this.#hold(message);
          const isFull = count >= request.batch && request.max_bytes === undefined;
          return isFull || count >= sent;
        },
      },
    );
    return answers.sort((a, b) => Number(a.startsWith("status")) - Number(b.startsWith("status")));
  }

  async #pullOpen({ batch }: { batch: number }): Promise<string[]> {
    const inbox = this.#newInbox();
    const pull = { asked: `open pull of ${batch}`, lines: [] as string[] };
    this.#open.push(pull);
    this.#listen(inbox, (message) => {
      // Several servers may tell it that the consumer is gone.
      if (pull.lines.at(-1)?.startsWith("status")) return;
      if (statusOf(message) === 0) this.#hold(message);
      this.arrived++;
      pull.lines.push(this.#show(message));
    });
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${SLOW}`;
    const body = JSON.stringify({ batch, expires: 3_600e9 });
    this.#stage.link.nc.publish(subject, body, { reply: inbox });
    // The consumer takes requests in turn; this one it refuses when it has taken the other.
    return this.#ask(subject, Buffer.from('{"batch":1,"expires":1,"idle_heartbeat":1}'));
  }

  async #answer({ which, verb }: { which: number; verb: string }): Promise<string[]> {
    const held = this.#held[which % Math.max(this.#held.length, 1)];
    if (!held) return ["nothing is held"];
    // Nobody answers for what a consumer that was made again has not delivered yet.
    const isOld = held.life < this.#life;
    const options = isOld ? { withinMs: 200 } : {};
    const replies = await this.#ask(held.reply, Buffer.from(verb), options);
    // A delay makes the consumer look at all that is held a moment later.
    if (verb.includes("delay")) await this.#stage.pause(30);
    return [held.shown, isOld ? "" : String(replies.length), ...(await this.#info())];
  }

  async #info(): Promise<string[]> {
    const ask = (): Promise<string> => this.#api(`CONSUMER.INFO.${this.#stream}.${SLOW}`);
    const text = await this.#stage.inform(ask, this.infos.length);
    this.infos.push(text);
    return [text];
  }

  async #recreate(deliver: string): Promise<string[]> {
    this.#life++;
    const removed = await this.#api(`CONSUMER.DELETE.${this.#stream}.${SLOW}`);
    return [
      removed,
      await this.#createSlow(deliver),
      ...(await this.#pull({ batch: 3, bytes: 0 })),
    ];
  }

  #createSlow(deliver: string): Promise<string> {
    return this.#api(`CONSUMER.CREATE.${this.#stream}.${SLOW}`, {
      stream_name: this.#stream,
      config: {
        name: SLOW,
        durable_name: SLOW,
        filter_subjects: [`${this.#prefix}.*.ready`, `${this.#prefix}.*.start`],
        ack_policy: "explicit",
        ack_wait: 3_600e9,
        deliver_policy: deliver,
        max_deliver: -1,
        max_ack_pending: -1,
      },
      action: "create",
    });
  }

  /** An ephemeral consumer without acknowledgements, as followers have. */
  async #follow(command: { from: number; headersOnly: boolean }): Promise<string[]> {
    const name = `follow${this.#replies++}`;
    const config = {
      name,
      ack_policy: "none",
      max_deliver: 1,
      deliver_policy: "by_start_sequence",
      opt_start_seq: Math.max(command.from, 1),
      filter_subjects: [`${this.#prefix}.*.h`, `${this.#prefix}.*.wait`],
      headers_only: command.headersOnly,
      inactive_threshold: 60e9,
      mem_storage: true,
      num_replicas: 1,
    };
    const request = { stream_name: this.#stream, config, action: "create" };
    const created = await this.#api(`CONSUMER.CREATE.${this.#stream}.${name}`, request);
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${name}`;
    const body = Buffer.from(JSON.stringify({ batch: 100, no_wait: true }));
    let messages: string[] = [];
    // The server that is asked may not know yet that the consumer of another one listens.
    await this.#poll(20, async () => {
      messages = await this.#ask(subject, body, { isLast: (each) => statusOf(each) > 0 });
      return !messages[0]?.startsWith("status 503");
    });
    await this.#api(`CONSUMER.DELETE.${this.#stream}.${name}`);
    return [created.replaceAll(name, "follow"), ...messages].map((each) =>
      each.replaceAll(name, "follow"),
    );
  }

  // --- time

  /** What is not acknowledged comes again; in which order depends on when, so it is sorted. */
  async #expire(answers: readonly string[]): Promise<string[]> {
    const { clock, nc } = this.#stage.link;
    for (const [i] of answers.entries()) await this.#publish(`fast.${i}`, {}, [], `${i}`);
    const first = this.#held.length;
    const startedAt = clock.monotonic();
    const pulled = await this.#pullFrom(FAST, { batch: answers.length });
    const held = this.#held.splice(first);
    for (const [i, verb] of answers.entries())
      if (verb !== "none") nc.publish(held[i]?.reply ?? "", verb);
    await nc.flush();
    if (clock.monotonic() - startedAt > MOST_MS) throw new TooSlowError();
    const left = answers.filter((verb) => verb !== "+ACK").length;
    const again = left === 0 ? [] : await this.#pullFrom(FAST, { batch: left }, true);
    await nc.flush();
    if (clock.monotonic() - startedAt > MOST_MS + 2 * ACK_WAIT_MS) throw new TooSlowError();
    const known = (line: string): string => line.replace(/consumer \d+/, "consumer ?");
    return [...pulled.map(known), ...again.map(known).sort()];
  }

  /** A value whose time is over leaves a marker. */
  async #outlive(key: string): Promise<string[]> {
    const subject = `$KV.${this.#stream}.${key}`;
    const headers = [["Nats-TTL", "1s"]] as const;
    const stored = await this.#ask(subject, Buffer.from("value"), { headers });
    let found = "";
    const isOver = await this.#poll(100, async () => {
      const stream = `KV_${this.#stream}`;
      found = await this.#api(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
      return !found.includes("value");
    });
    return [...stored, isOver ? found : "outlives its time"];
  }

  /** Whether something becomes true before everybody would have given up. */
  async #poll(everyMs: number, isTrue: () => Promise<boolean>): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < GIVE_UP_MS; waitedMs += everyMs) {
      if (await isTrue()) return true;
      await this.#stage.pause(everyMs);
    }
    return false;
  }

  // --- the wire

  #full(subject: string): string {
    return `${this.#prefix}.${subject}`;
  }

  #newInbox(): string {
    return `${this.#inbox}${this.#replies++}`;
  }

  #listen(subject: string, receive: (message: Message) => void): () => void {
    const subscription = this.#stage.link.nc.subscribe(subject, {
      callback: (_, message) => receive(message),
    });
    const stop = (): void => {
      subscription.unsubscribe();
      this.#listening.delete(stop);
    };
    this.#listening.add(stop);
    return stop;
  }

  async #api(path: string, request?: object): Promise<string> {
    const body = request === undefined ? NOTHING : Buffer.from(JSON.stringify(request));
    const [answer = "nothing"] = await this.#ask(`$JS.API.${path}`, body);
    return answer;
  }

  /** Sends a request and returns the replies up to the last one, or what came in a limited time. */
  #ask(
    subject: string,
    body: Uint8Array,
    options: {
      headers?: HeaderList;
      isLast?: (message: Message) => boolean;
      withinMs?: number;
    } = {},
  ): Promise<string[]> {
    const { headers = [], isLast = () => true, withinMs = GIVE_UP_MS } = options;
    const reply = this.#newInbox();
    const replies: string[] = [];
    return new Promise((resolve) => {
      const end = (): void => {
        stopListening();
        stopTimer();
        resolve(replies);
      };
      const giveUp = (): void => {
        if (withinMs === GIVE_UP_MS) replies.push("and then nothing");
        end();
      };
      const stopListening = this.#listen(reply, (message) => {
        replies.push(this.#show(message));
        if (isLast(message)) end();
      });
      const stopTimer = this.#stage.link.clock.after(withinMs, giveUp);
      this.#stage.link.nc.publish(subject, body, {
        reply,
        ...(headers.length === 0 ? {} : { headers: asClientHeaders(encodeHeaders(headers)) }),
      });
    });
  }

  #hold(message: Message): void {
    const { reply = "" } = message;
    this.#held.push({ reply, life: this.#life, shown: this.#show(message) });
  }

  /** A message in words, without times, and without the names that differ from stage to stage. */
  #show(message: Message): string {
    const { subject, reply = "", headers } = message;
    const text = Buffer.from(message.data).toString();
    const shownHeaders: string[] = [];
    for (const [name, values] of headers ?? [])
      if (name !== "Nats-Time-Stamp") shownHeaders.push(`${name}: ${values.join(", ")}`);
    const status =
      headers && headers.code > 0 ? `status ${headers.code} ${headers.description}` : "";
    const [, , , , count, sequence, consumer] = reply.split(".");
    const delivery = reply.startsWith("$JS.ACK.")
      ? `delivery ${count} of ${sequence}, consumer ${consumer}, ${subject}`
      : "";
    const body = text.startsWith('{"type"') ? withoutTimes(text) : text;
    return [status, delivery, ...shownHeaders, body]
      .filter((part) => part !== "")
      .join(" | ")
      .replaceAll(this.#stream, "S")
      .replaceAll(this.#prefix, "s");
  }
}

function statusOf({ headers }: Message): number {
  return headers?.code ?? 0;
}

/** Fields of answers that are not compared: times, sizes, and what a server says about itself. */
const VOLATILE = new Set([
  ...["created", "ts", "time", "first_ts", "last_ts", "bytes", "cluster", "metadata"],
  // Which of these is told before the first delivery depends on how the server keeps them.
  ...["delivered", "ack_floor", "num_replicas"],
  "num_redelivered",
]);

function withoutTimes(text: string): string {
  return JSON.stringify(JSON.parse(text), (field, value: unknown) => {
    if (VOLATILE.has(field)) return undefined;
    if (field === "hdrs")
      return Buffer.from(value as string, "base64")
        .toString()
        .split("\r\n");
    if (field === "data") return Buffer.from(value as string, "base64").toString();
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    // Objects of the server have their fields in another order than ours.
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
