/**
 * Where one scenario takes place: a namespace in an account of its own, workers of one build, a
 * client, and a test that plays the engine, reads the log, and makes the server deliver tokens again.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setupNamespace } from "../../engine/setup.ts";
import { type Client, connect } from "../../shared/client.ts";
import { decodeCommit, encodeCommit, type StoredCommit } from "../../shared/entries.ts";
import { purgeSubject } from "../../shared/jetstream/admin.ts";
import { callApi } from "../../shared/jetstream/api.ts";
import { connectNats, type NatsLink, type NatsOptions } from "../../shared/jetstream/connection.ts";
import type { DeliveredMessage } from "../../shared/jetstream/delivery.ts";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { type Because, decodeReady, decodeWait, encodeReady } from "../../shared/messages.ts";
import { evolve, initialState, pendingLeaves, type RunState } from "../../shared/run-state.ts";
import { type NamespaceSetup, SETUP_METADATA } from "../../shared/setup.ts";
import { type LogKind, type RunAddress, STATUS_HEADER } from "../../shared/subjects.ts";
import type { WorkerOptions } from "../../worker/index.ts";
import { startTestCluster, startTestServer, type TestTopology } from "../helpers/nats.ts";
import type { Build } from "./build.ts";
import { HandEngine, type HandEngineOptions } from "./hand-engine.ts";
import { HandWorker, type HandWorkerOptions } from "./hand-worker.ts";
import { LiveWorker } from "./live-worker.ts";

/** What can still bring a run on: a token not yet acknowledged, a schedule, a registration. */
export type Lifeline = "token" | "timer" | "wait";

/** What the log says about a run, as far as most holes are about it. */
export interface RunFacts {
  readonly status: string;
  /** Empty for a run that is neither ended nor can ever go on. */
  readonly lifelines: readonly Lifeline[];
}

/** How a place is to be. */
export interface PlaceOptions {
  /** Default 10,000: nothing happens by itself while the scenario lasts. */
  readonly claimTimeoutMs?: number;
}

/** How a consumer group stands. */
export interface ConsumerFacts {
  /** Delivered and not acknowledged. */
  readonly ackPending: number;
  /** Not delivered yet. */
  readonly pending: number;
  readonly deliveries: number;
  /** Requests that wait for tokens. */
  readonly waiting: number;
}

const ACCOUNTS = 250;

/** One server or three, for all the scenarios of a file. */
export class Ground {
  readonly #start: (config: string) => Promise<TestTopology>;
  #topology: Promise<TestTopology> | undefined;
  #accounts = 0;

  constructor(title: "R1" | "R3") {
    this.#start = title === "R1" ? startTestServer : startTestCluster;
  }

  async open(build: Build, options: PlaceOptions): Promise<Place> {
    this.#topology ??= this.#start(configFile());
    const topology = await this.#topology;
    const access = { servers: topology.urls, user: `h${++this.#accounts}`, pass: "secret" };
    const link = await connectNats({ ...access, name: "test" });
    const setup = await setupNamespace(link, {
      replicas: topology.replicas,
      shards: 1,
      claimTimeoutMs: options.claimTimeoutMs ?? 10_000,
    });
    const client = await connect(access);
    return new Place({ topology, build, access, link, setup, client });
  }

  async close(): Promise<void> {
    await (await this.#topology)?.stop();
  }
}

interface Parts {
  readonly topology: TestTopology;
  readonly build: Build;
  readonly access: NatsOptions;
  readonly link: NatsLink;
  readonly setup: NamespaceSetup;
  readonly client: Client;
}

/** Where one scenario takes place. */
export class Place {
  readonly topology: TestTopology;
  readonly build: Build;
  readonly access: NatsOptions;
  /** The test's own connection. */
  readonly link: NatsLink;
  readonly setup: NamespaceSetup;
  /** Of the product, not of a mutant. */
  readonly client: Client;
  /** What steps did, in order: each scenario decides how it writes it. */
  readonly effects: string[] = [];
  readonly #ends: (() => Promise<void>)[] = [];

  constructor({ topology, build, access, link, setup, client }: Parts) {
    this.topology = topology;
    this.build = build;
    this.access = access;
    this.link = link;
    this.setup = setup;
    this.client = client;
  }

  /** A worker of the build under test, which has joined its consumer groups. */
  async worker(name: string, options: HandWorkerOptions): Promise<HandWorker> {
    const { build, access, setup } = this;
    const link = await build.connection.connectNats({ ...access, name: `worker ${name}` });
    const worker = new HandWorker({ ...options, name, build, link, setup });
    this.atEnd(() => worker.end());
    await worker.open();
    return worker;
  }

  /** A whole worker of the build under test, which asks for tokens itself. */
  async live(
    name: string,
    options: Omit<WorkerOptions, "servers" | "clock" | "name">,
  ): Promise<LiveWorker> {
    const { build, access } = this;
    const link = await build.connection.connectNats({ ...access, name: `worker ${name}` });
    const live = await LiveWorker.start(build, link, { ...options, name });
    this.atEnd(() => live.end());
    return live;
  }

  /** An engine of the build under test, which leads. */
  async engine(options: HandEngineOptions = {}): Promise<HandEngine> {
    const { build, access, setup } = this;
    const link = await build.connection.connectNats({ ...access, name: "engine" });
    const engine = new HandEngine(build, link, setup, options);
    this.atEnd(() => engine.end());
    await engine.lead();
    return engine;
  }

  /** Calls back when the scenario is over. */
  atEnd(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    await this.client.close();
    await this.link.close();
  }

  // --- what the server and the engine do

  /** The consumer delivers a token once more, as after a lost heartbeat or a failover. */
  redeliver(token: DeliveredMessage): void {
    const { stream, consumer, deliveryCount, streamSequence, consumerSequence } = token;
    const place = `${deliveryCount}.${streamSequence}.${consumerSequence}`;
    const nanos = Math.round(token.timeMs * 1e6);
    this.link.nc.publish(`$JS.ACK.${stream}.${consumer}.${place}.${nanos}.0`, "-NAK");
  }

  /** Publishes a token as the engine does, and returns its sequence. */
  async ready(run: RunAddress, answers: number, because: Because): Promise<number> {
    const start = await this.last(run, "token.start");
    const body = encodeReady({
      answers,
      startSequence: start?.sequence ?? 0,
      isChild: false,
      because,
    });
    return this.write(run, "token.ready", body);
  }

  /** Stores a message of a run. */
  async write(
    run: RunAddress,
    kind: LogKind,
    body: Uint8Array,
    headers?: HeaderList,
  ): Promise<number> {
    const subject = `${this.setup.names.run(run).prefix}.${kind}`;
    const outcome = await this.link.publisher.publish(subject, body, headers);
    if (!outcome.ok) throw new Error(`${subject}: ${JSON.stringify(outcome)}`);
    return outcome.sequence;
  }

  /** The events of a wait as the engine names them: the first pending event leaf of the run. */
  async matched(run: RunAddress, sequence: number): Promise<Because> {
    const { pending } = await this.state(run);
    for (const wait of pending.values())
      for (const { leaf, condition } of pendingLeaves(wait))
        if (condition.kind === "event") return { events: [[wait.key, leaf, sequence]] };
    throw new Error(`Run "${run.runId}" waits for no event.`);
  }

  /** The same for a child that it waits for. */
  async childEnded(run: RunAddress): Promise<Because> {
    const { pending } = await this.state(run);
    for (const wait of pending.values())
      for (const { leaf, condition } of pendingLeaves(wait))
        if (condition.kind === "child") return { children: [[wait.key, leaf, [0]]] };
    throw new Error(`Run "${run.runId}" waits for no child.`);
  }

  /** Publishes an event and returns its sequence. */
  async event(name: string, payload: unknown): Promise<number> {
    return (await this.client.publish(name, payload)).sequence;
  }

  /** Removes everything of a run that is stored by now, or before a sequence. */
  async purge(run: RunAddress, before: number = Number.MAX_SAFE_INTEGER): Promise<void> {
    const { stream, prefix } = this.setup.names.run(run);
    await purgeSubject(this.link.requests, { stream, subject: `${prefix}.>`, before });
  }

  /** Ended runs are purged at once from now on, by whatever engine leads. */
  async keepNothing(): Promise<void> {
    const stream = this.setup.names.logStream(0);
    const { config = {} } = (await this.link.reader.streamState(stream)) ?? {};
    const before = config["metadata"] as Readonly<Record<string, string>>;
    const metadata = { ...before, [SETUP_METADATA.keepEndedMs]: "0" };
    await callApi(this.link.requests, `STREAM.UPDATE.${stream}`, { ...config, metadata });
  }

  /** A child ends, without anybody having run it. */
  async endChild(child: RunAddress, output: unknown): Promise<number> {
    const start = await this.last(child, "token.start");
    const startSequence = start?.sequence ?? 0;
    const commit = encodeCommit(
      {
        startSequence,
        pass: "test/r1",
        token: startSequence,
        time: start?.timeMs ?? 0,
        entries: [{ kind: "ended", outcome: { status: "completed", output } }],
      },
      "the end of a child",
    );
    return this.write(child, "c", commit, [[STATUS_HEADER, "completed"]]);
  }

  // --- what the log says

  /** The last message of one kind, as the leader knows it. */
  async last(run: RunAddress, kind: LogKind): Promise<StoredMessage | undefined> {
    const { stream, prefix } = this.setup.names.run(run);
    return this.link.reader.lastFor(stream, `${prefix}.${kind}`, { leader: true });
  }

  /** The history, as new as the leader knows it. */
  async commits(run: RunAddress): Promise<StoredCommit[]> {
    const { stream, prefix } = this.setup.names.run(run);
    const kind = (await this.last(run, "c")) ? "c" : "h";
    const tail = (await this.last(run, kind))?.sequence ?? 0;
    for (;;) {
      const stored = await this.link.reader.readSubject(stream, `${prefix}.${kind}`);
      if ((stored.at(-1)?.sequence ?? 0) >= tail)
        return stored.map(({ data, sequence, subject }) => decodeCommit(data, sequence, subject));
    }
  }

  /** What the history says about the run's present start. */
  async state(run: RunAddress): Promise<RunState> {
    const start = await this.last(run, "token.start");
    const state = initialState(start?.sequence ?? 0, start?.timeMs ?? 0);
    for (const commit of await this.commits(run)) evolve(state, commit);
    return state;
  }

  /** How the consumer group of a task stands. */
  async consumer(taskName: string): Promise<ConsumerFacts> {
    const { names } = this.setup;
    const subject = `CONSUMER.INFO.${names.logStream(0)}.${names.taskConsumer(taskName)}`;
    const answer = await callApi(this.link.requests, subject, undefined);
    const delivered = answer["delivered"] as { readonly consumer_seq?: number } | undefined;
    return {
      ackPending: Number(answer["num_ack_pending"]),
      pending: Number(answer["num_pending"]),
      deliveries: delivered?.consumer_seq ?? 0,
      waiting: Number(answer["num_waiting"]),
    };
  }

  /** The run's status, and what can still bring it on. Tokens are those of its whole task. */
  async facts(run: RunAddress): Promise<RunFacts> {
    const [state, consumer] = [await this.state(run), await this.consumer(run.taskName)];
    const lifelines: Lifeline[] = [];
    if (consumer.ackPending + consumer.pending > 0) lifelines.push("token");
    const timer = await this.last(run, "timer");
    if (timer && decodeReady(timer.data, "timer").answers === state.tail) lifelines.push("timer");
    const wait = await this.last(run, "wait");
    if (wait && decodeWait(wait.data, "wait").waitSequence === state.tail) lifelines.push("wait");
    return { status: state.status, lifelines };
  }
}

let config: string | undefined;

/** A server configuration with an account for each scenario, so that none sees another's events. */
function configFile(): string {
  if (config !== undefined) return config;
  const accounts = Array.from(
    { length: ACCOUNTS + 1 },
    (_, i) => `  h${i}: { jetstream: enabled, users: [ { user: h${i}, password: secret } ] }`,
  );
  const folder = mkdtempSync(join(tmpdir(), "contrail-holes-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  config = join(folder, "nats.conf");
  // A cluster is probed without a user.
  writeFileSync(config, `accounts {\n${accounts.join("\n")}\n}\nno_auth_user: h0\n`);
  return config;
}
