/** What is judged, and what was found. Not knowing is not passing. */
import {
  type Effect,
  type Evidence,
  type Fault,
  type Operation,
  readEvidence,
} from "./directory.ts";
import { foldWorld, type Run, type World } from "./history.ts";
import { nameOf } from "./wire.ts";

/** The promises of the design, and the laws of conservation. */
export const RULES: { readonly [rule: string]: string } = {
  P1: "every accepted start ends exactly once, or waits for something that has a name",
  P2: "a step whose checkpoint is stored is not executed again; who lost a run learns so",
  P3: "no wake-up is lost, none comes early, none overtakes what came before it",
  P4: "a waiting run holds no slot, and no pool exceeds its capacity",
  P5: "a resumed run goes on at any worker",
  P6: "two passes of one run never both append, and a token claims the one wait it answers",
  P7: "a replay that diverges is stopped before it does anything new",
  P8: "nothing that was acknowledged is lost, and nothing is there twice",
  P9: "bad input gets an error that names it, and harms no other run",
  P10: "without an engine starts, steps, sleeps and resumes go on",
  accepted: "accepted = waiting + running + paused + ended",
  published: "published = consumed + pending, for each cursor",
  granted: "granted = released + held",
  scheduled: "scheduled = fired + canceled + pending",
};

/** Other processes may be so many times as late as the one that measures it. */
const SLOWER = 3;

/** Something that must not be. */
export interface Violation {
  readonly rule: string;
  readonly text: string;
  readonly run?: Run | undefined;
}

/** A fault, and how long it lasted. */
export interface Span {
  readonly family: string;
  readonly kind: string;
  readonly target: string;
  readonly detail?: Fault["detail"];
  readonly from: number;
  readonly to: number;
}

/** What became of an operation of a client. */
export interface Told extends Operation {
  readonly invoked: Operation;
}

/** Everything the rules look at, and what they have found. */
export class Judge {
  readonly evidence: Evidence;
  readonly world: World;
  readonly violations: Violation[] = [];
  readonly facts: Map<string, number> = new Map();
  readonly unknown: Map<string, string[]> = new Map();
  /** Runs whose own messages were broken on purpose. */
  readonly excused: ReadonlySet<string>;
  readonly effects: ReadonlyMap<string, readonly Effect[]>;
  readonly told: readonly Told[];
  /** Ids of workers by the names of their processes. */
  readonly workers: ReadonlyMap<string, string>;
  /** Each fault with its end. */
  readonly spans: readonly Span[];
  /** Laws of conservation in figures. */
  readonly balances: Map<string, string> = new Map();
  /** When the workers were closed: nothing that was due later had to happen. */
  readonly closedAt: number;

  constructor(evidence: Evidence) {
    this.evidence = evidence;
    this.world = foldWorld(evidence);
    this.excused = excusedBy(evidence);
    this.effects = groupBy(evidence.effects, ({ taskName, runId }) => `${taskName}/${runId}`);
    this.spans = spansOf(evidence);
    const edges = groupBy(evidence.operations, ({ id }) => id);
    this.told = [...edges.values()].flatMap((list) => {
      const invoked = list.find(({ edge }) => edge === "invoke");
      const end = list.find(({ edge }) => edge !== "invoke");
      return invoked ? [{ ...invoked, edge: "unknown" as const, ...end, invoked }] : [];
    });
    const lives = evidence.lives.filter(({ role }) => role === "worker");
    this.workers = new Map(lives.flatMap(({ process, name }) => (name ? [[process, name]] : [])));
    const healedAt = evidence.summary.healedAt ?? evidence.summary.endedAt;
    const exits = lives.filter(({ edge, at }) => edge === "exit" && at > healedAt);
    this.closedAt = Math.min(evidence.summary.endedAt, ...exits.map(({ at }) => at));
  }

  /** The runs that are to be judged. */
  get runs(): Run[] {
    return [...this.world.runs.values()].filter(
      ({ name, starts }) => starts.length > 0 && !this.excused.has(name),
    );
  }

  /** A fact that could have shown a violation. */
  saw(rule: string, count = 1): void {
    this.facts.set(rule, (this.facts.get(rule) ?? 0) + count);
  }

  /** The rule is judged only if this was seen. */
  needs(rule: string, isSeen: boolean, what: string): void {
    if (!isSeen) this.unknown.set(rule, [...(this.unknown.get(rule) ?? []), what]);
  }

  violate(rule: string, text: string, run?: Run): void {
    this.violations.push({ rule, text, run });
  }

  /** Whether a process stood still at a time between two instants. */
  wasStopped(process: string, from: number, to: number): boolean {
    return this.during(from, to).some(
      ({ kind, target }) => /stop/.test(kind) && isOf(target, process),
    );
  }

  /** What was broken at a time between two instants. */
  during(from: number, to: number): Span[] {
    return this.spans.filter((span) => span.from <= to && span.to >= from);
  }

  /** When what kept a process from its servers, or the servers from work, was over; an instant or later. */
  undisturbedAt(process: string, since: number, until: number): number {
    const ends = this.during(since, until)
      .filter(({ target }) => /server|_LOG_|consumers/.test(target) || isOf(target, process))
      .map((span) => span.to + backoffMs(span));
    return Math.max(since, ...ends);
  }

  /** How much later than it could everything may have happened between two instants: the machine was busy. */
  slowMs(from: number, to: number): number {
    const late = this.evidence.slowness.filter(({ at }) => at >= from && at <= to);
    return SLOWER * late.reduce((sum, { lateMs }) => sum + lateMs, 0);
  }

  /** Checks a law of conservation, and notes it with its figures. */
  balance(rule: string, total: number, parts: { readonly [part: string]: number }): void {
    const sum = Object.values(parts).reduce((before, part) => before + part, 0);
    const text = `${total} = ${Object.entries(parts)
      .map(([part, count]) => `${count} ${part}`)
      .join(" + ")}`;
    this.balances.set(rule, text);
    if (sum !== total) this.violate(rule, `does not add up: ${text}`);
  }

  /** What is said of each rule. */
  verdicts(): { readonly rule: string; readonly verdict: "held" | "violated" | "not known" }[] {
    return Object.keys(RULES).map((rule) => {
      if (this.violations.some((found) => found.rule === rule))
        return { rule, verdict: "violated" };
      const isWhole = this.evidence.summary.ended === "healed";
      const isKnown = isWhole && (this.facts.get(rule) ?? 0) > 0 && !this.unknown.has(rule);
      return { rule, verdict: isKnown ? "held" : "not known" };
    });
  }
}

/** Reads a directory to judge it. */
export function judgeOf(path: string): Judge {
  return new Judge(readEvidence(path));
}

/** Lists by what they have in common. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

function spansOf({ faults, summary }: Evidence): Span[] {
  const ends = new Map(faults.filter(({ edge }) => edge === "end").map((end) => [end.id, end.at]));
  return faults
    .filter(({ edge }) => edge === "begin")
    .map(({ id, at, ...fault }) => ({ ...fault, from: at, to: ends.get(id) ?? summary.endedAt }));
}

/**
 * How long TCP may take to send again what was lost: it waits twice as long each time, so at most as long
 * as the fault has lasted.
 */
function backoffMs({ detail, from, to }: Span): number {
  return detail?.madeBy === "namespace" ? to - from : 0;
}

/** Whether a fault was done to a process, or to the place that it had for this life. */
function isOf(target: string, process: string): boolean {
  return process === target || process.startsWith(`${target}.`);
}

/** What is stored in a stream and was removed or written on purpose names the runs it is of. */
function excusedBy({ faults, live, dump }: Evidence): Set<string> {
  const subjects = faults.flatMap(({ family, target, detail }) => {
    if (family === "garbage") return /\.(h|c|start)$/.test(target) ? [target] : [];
    if (family !== "edit") return [];
    const gone = new Set(detail?.sequences ?? []);
    const lines = [...(live.get(target) ?? []), ...(dump.get(target) ?? [])];
    return lines.filter(({ sequence }) => gone.has(sequence)).map(({ subject }) => subject);
  });
  return new Set(subjects.flatMap((subject) => nameOfSubject(subject)));
}

function nameOfSubject(subject: string): string[] {
  const [, , , task, run] = subject.split(".");
  return task && run ? [`${nameOf(task)}/${nameOf(run)}`] : [];
}
