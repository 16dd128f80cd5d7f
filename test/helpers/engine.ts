/** A set-up namespace on a test server, and terms of leading without an engine around them. */
import type { ExecutionContext } from "ava";
import { setupNamespace } from "../../engine/setup.ts";
import { Term } from "../../engine/term.ts";
import { systemClock } from "../../shared/clock.ts";
import type { Failpoint } from "../../shared/failpoints.ts";
import { connectNats, type NatsLink } from "../../shared/jetstream/connection.ts";
import { type LogSink, silentLog } from "../../shared/logger.ts";
import type { Names } from "../../shared/subjects.ts";
import type { TestTopology } from "./nats.ts";
import { until } from "./until.ts";

/** A connection to a namespace that is set up. */
export interface Namespace {
  readonly link: NatsLink;
  readonly names: Names;
}

/** Connects, for one test, and sets the namespace up. */
export async function namespaceOf(t: ExecutionContext, topology: TestTopology): Promise<Namespace> {
  const link = await connectNats({ servers: topology.urls });
  t.teardown(() => link.close());
  const { names } = await setupNamespace(link, { replicas: topology.replicas });
  return { link, names };
}

/** A term that a test can end. */
export interface TestTerm {
  readonly term: Term;
  end(): Promise<void>;
}

/** Begins a term and waits until it has read what is stored. It ends with the test. */
export async function beginTerm(
  t: ExecutionContext,
  { link, names }: Namespace,
  options: { readonly failpoint?: Failpoint; readonly log?: LogSink } = {},
): Promise<TestTerm> {
  const over = new AbortController();
  const { failpoint = () => undefined, log = silentLog } = options;
  const term = await Term.begin({
    link,
    names,
    clock: systemClock,
    log,
    undecodable: { note() {} },
    failpoint,
    signal: over.signal,
  });
  const running = term.run();
  const end = async (): Promise<void> => {
    over.abort();
    await running;
  };
  t.teardown(end);
  await until(() => term.status.isCaughtUp && term.status.waits.lookingBack === 0);
  return { term, end };
}

/** Publishes an event and returns its sequence. */
export async function publishEvent(
  { link }: Namespace,
  name: string,
  payload: unknown = null,
): Promise<number> {
  const body = Buffer.from(JSON.stringify(payload));
  const outcome = await link.publisher.publish(`events.${name}`, body);
  if (!outcome.ok) throw new Error(`The event was not stored: ${outcome.kind}`);
  return outcome.sequence;
}

/** A place that a test can hold and let go: the first time it is reached after `arm`. */
export class Barrier {
  readonly reached: Promise<void>;
  readonly #name: string;
  readonly #opened: Promise<void>;
  #reach: () => void = () => {};
  #open: () => void = () => {};
  #isArmed = false;

  constructor(name: string) {
    this.#name = name;
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** To be given as the failpoint. */
  readonly failpoint: Failpoint = (name) => {
    if (name !== this.#name || !this.#isArmed) return undefined;
    this.#isArmed = false;
    this.#reach();
    return this.#opened;
  };

  arm(): void {
    this.#isArmed = true;
  }

  open(): void {
    this.#open();
  }
}
