/** All that the laws look at: the evidence, put together to what it is about. */
import { type Effect, type Evidence, groupBy, type Listed, type Span } from "./directory.ts";
import { Run } from "./history.ts";
import {
  type Condition,
  eventOf,
  headerOf,
  isMatch,
  type Message,
  runOf,
  type StoredEvent,
} from "./wire.ts";

/** Other processes may be so many times as late as the one that measures it. */
const SLOWER = 3;

/**
 * What a law has found: the rule that what it looked at could have broken, or the rule and the part that this
 * is of what the rule counts; with a text when the rule is broken, and the run that shows it.
 */
export type Findings = Iterable<readonly [rule: string, text?: string, run?: Run | undefined]>;

/** What is known of a chaos run. Runs are found by `<task>/<run>`. */
export class Facts {
  readonly evidence: Evidence;
  readonly all: ReadonlyMap<string, Run>;
  /** The runs that are judged: those that were started, and whose messages nobody broke on purpose. */
  readonly runs: readonly Run[];
  /** Runs whose own messages were broken on purpose, or by a server. */
  readonly excused: ReadonlySet<string>;
  /** Writes that a server has stored against their guard. */
  readonly unguarded: readonly Message[];
  readonly children: ReadonlyMap<string, readonly Run[]>;
  readonly effects: ReadonlyMap<string, readonly Effect[]>;
  readonly listed: ReadonlyMap<string, Listed>;
  readonly events: readonly StoredEvent[];
  /** Events by name and key of their payload, as the workload asks for them. */
  readonly #byKey: ReadonlyMap<string, readonly StoredEvent[]>;
  /** The runs that somebody asked to start. */
  readonly asked: ReadonlySet<string>;
  /** Ids of workers by the names of their processes. */
  readonly workers: ReadonlyMap<string, string>;
  /** When the workers were closed: nothing that was due later had to happen. */
  readonly closedAt: number;

  constructor(evidence: Evidence) {
    const { dump, summary, told, lives, listed = [] } = evidence;
    this.evidence = evidence;
    const log = [...dump].flatMap(([stream, lines]) => (/_LOG_\d+$/.test(stream) ? lines : []));
    const runs = [...groupBy(log, ({ subject }) => runOf(subject).name).values()];
    const all = runs.map((lines) => new Run(lines));
    this.all = new Map(all.map((run) => [run.name, run]));
    this.unguarded = all.flatMap((run) => unguardedOf(run, evidence.spans));
    const broken = this.unguarded.map(({ subject }) => runOf(subject).name);
    this.excused = new Set([...excusedBy(evidence), ...broken]);
    this.runs = all.filter(({ name, starts }) => starts.length > 0 && !this.excused.has(name));
    this.children = groupBy(all, ({ parent = "" }) => parent);
    this.effects = groupBy(evidence.effects, nameOf);
    this.listed = new Map(listed.map((each) => [nameOf(each), each]));
    this.events = (dump.get(`${summary.namespace}_EVENTS`) ?? []).map(eventOf);
    this.#byKey = groupBy(this.events, ({ name, payload }) => indexOf(name, payload));
    this.asked = new Set(told.filter(({ op }) => op === "start").map(nameOf));
    const workers = lives.filter(({ role }) => role === "worker");
    this.workers = new Map(workers.flatMap(({ process, name }) => (name ? [[process, name]] : [])));
    const { endedAt, healedAt = endedAt } = summary;
    this.closedAt = Math.min(endedAt, ...workers.map(({ to }) => to).filter((to) => to > healedAt));
  }

  /** The events that a leaf may consume. */
  candidates({ after = 0, ...leaf }: Condition): StoredEvent[] {
    const { name = "", where } = leaf;
    const isExact = typeof where?.["key"] === "string" && !/[*>]/.test(name);
    const events = isExact ? (this.#byKey.get(indexOf(name, where)) ?? []) : this.events;
    return events.filter(
      ({ sequence, name, payload }) => sequence > after && isMatch(leaf, name, payload),
    );
  }

  /** Those that the run has not consumed, for this leaf or another one. */
  pending(run: Run, leaf: Condition): StoredEvent[] {
    const taken = new Set(run.consumed.map(({ sequence }) => sequence));
    return this.candidates(leaf).filter(({ sequence }) => !taken.has(sequence));
  }

  /** The child at a position of a leaf that waits for one or for many. */
  childOf(run: Run, { taskName, runId, first = 0 }: Condition, position: number): Run | undefined {
    if (runId !== undefined) return this.all.get(`${taskName}/${runId}`);
    return this.children.get(run.name)?.find((c) => c.runId.endsWith(`-${first + position}`));
  }

  /** What was broken at a time between two instants. */
  during(from: number, to: number): Span[] {
    return this.evidence.spans.filter((span) => span.from <= to && span.to >= from);
  }

  /** How much later than it could everything may have happened between two instants: the machine was busy. */
  slowMs(from: number, to: number): number {
    const late = this.evidence.slowness.filter(({ at }) => at >= from && at <= to);
    return SLOWER * late.reduce((sum, { lateMs }) => sum + lateMs, 0);
  }
}

/** `<task>/<run>` of what is about a run. */
export function nameOf(item: { readonly taskName?: string; readonly runId?: string }): string {
  return `${item.taskName}/${item.runId}`;
}

/** Equal as JSON, in which effects are written. */
export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function indexOf(name: string, payload: unknown): string {
  return `${name} ${String((payload as { readonly key?: unknown } | null | undefined)?.key)}`;
}

/** Whether a fault was done to a process, or to the place that it had for this life. */
export function isOf({ target }: Span, process: string): boolean {
  return process === target || process.startsWith(`${target}.`);
}

/**
 * Writes that were stored although another one had been since their guard, while the disk of a server was
 * full: its leader then looks at what it could not write down (nats-server 2.15.1). The report tells them.
 */
function unguardedOf({ messages }: Run, spans: readonly Span[]): Message[] {
  const lasts = new Map<string, number>();
  return messages.filter((message) => {
    const { subject, sequence, timeMs } = message;
    const expected = Number(headerOf(message, "Nats-Expected-Last-Subject-Sequence"));
    const isOfOther = headerOf(message, "Nats-Expected-Last-Subject-Sequence-Subject");
    const isAgainst = !isOfOther && expected < (lasts.get(subject) ?? 0);
    lasts.set(subject, sequence);
    const isFull = ({ family, from, to }: Span): boolean =>
      family === "disk" && from <= timeMs && to >= timeMs;
    return isAgainst && spans.some(isFull);
  });
}

/** What was written into a stream or removed from it on purpose names the runs it is of. */
function excusedBy({ faults, live, dump }: Evidence): Set<string> {
  const subjects = faults.flatMap(({ family, target, detail }) => {
    if (family === "garbage") return /\.(h|c|start)$/.test(target) ? [target] : [];
    if (family !== "edit") return [];
    const gone = new Set(detail?.sequences ?? []);
    const lines = [...(live.get(target) ?? []), ...(dump.get(target) ?? [])];
    return lines.filter(({ sequence }) => gone.has(sequence)).map(({ subject }) => subject);
  });
  return new Set(subjects.map((subject) => runOf(subject).name));
}
