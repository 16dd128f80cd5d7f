/** What is judged, and what was found. Not knowing is not passing. */
import { readEvidence } from "./directory.ts";
import { Facts } from "./facts.ts";
import type { Run } from "./history.ts";
import { RUN_LAWS } from "./run-laws.ts";
import { WHOLE_LAWS } from "./whole-laws.ts";

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

/** The parts of what a law of conservation counts: each thing is one of them, and nothing is two. */
const PARTS: { readonly [rule: string]: readonly string[] } = {
  accepted: ["queued", "waiting", "running", "paused", "ended"],
  published: ["consumed", "pending"],
  granted: ["released", "held"],
  scheduled: ["fired", "canceled", "pending"],
};

/** Without which a rule is not known to hold. */
const NEEDS: readonly [rule: string, what: string, isThere: (judge: Judge) => boolean][] = [
  ["P4", "lease records", ({ facts }) => facts.evidence.leases.some(({ value }) => value)],
  ["P7", "code that was changed under its runs", ({ facts }) => wasBroken(facts, "code")],
  ["P8", "a worker that was killed", ({ facts }) => wasKilled(facts, "worker")],
  ["P8", "a engine that was killed", ({ facts }) => wasKilled(facts, "engine")],
  ["P8", "a server that was killed", ({ facts }) => wasKilled(facts, "server")],
  ["P9", "bad input", ({ facts }) => facts.evidence.told.some(({ key }) => key === "bad")],
  ["P9", "garbage on log subjects", ({ facts }) => wasBroken(facts, "garbage")],
  ["accepted", "the list of all runs", ({ facts }) => facts.listed.size > 0],
  ["published", "an event that was consumed", (judge) => judge.count("published consumed") > 0],
  ["granted", "who holds slots at the end", ({ facts }) => facts.evidence.slots !== undefined],
  ["scheduled", "a timer that is still to come", (judge) => judge.count("scheduled pending") > 0],
];

/** Something that must not be. */
export interface Violation {
  readonly rule: string;
  readonly text: string;
  readonly run?: Run | undefined;
}

/** The whole judgment of what a chaos run has left. */
export class Judge {
  readonly facts: Facts;
  readonly violations: Violation[] = [];
  readonly unknown: Map<string, string[]> = new Map();
  /** Laws of conservation in figures. */
  readonly balances: Map<string, string> = new Map();
  readonly #counts = new Map<string, number>();

  constructor(facts: Facts) {
    this.facts = facts;
    for (const run of facts.runs)
      for (const law of RUN_LAWS)
        for (const [rule, text] of law(run, facts)) this.#note(rule, text, run);
    for (const law of WHOLE_LAWS)
      for (const [rule, text, run] of law(facts)) this.#note(rule, text, run);
    for (const [rule, what, isThere] of NEEDS)
      if (!isThere(this)) this.unknown.set(rule, [...(this.unknown.get(rule) ?? []), what]);
    for (const [rule, parts] of Object.entries(PARTS)) {
      if (rule === "accepted" && facts.evidence.summary.quiet === false) continue; // they have gone on
      const counts = parts.map((part) => this.count(`${rule} ${part}`));
      const terms = parts.map((part, i) => `${counts[i]} ${part}`).join(" + ");
      this.balances.set(rule, `${this.count(rule)} = ${terms}`);
      if (counts.reduce((sum, count) => sum + count, 0) !== this.count(rule))
        this.#note(rule, `does not add up: ${this.balances.get(rule)}`);
    }
  }

  /** How much was there that could have shown a violation of a rule, or is a part of what it counts. */
  count(rule: string): number {
    return this.#counts.get(rule) ?? 0;
  }

  #note(rule: string, text?: string, run?: Run): void {
    if (text === undefined) this.#counts.set(rule, this.count(rule) + 1);
    else this.violations.push({ rule, text, run });
  }

  /** What is said of each rule. */
  verdicts(): { readonly rule: string; readonly verdict: "held" | "violated" | "not known" }[] {
    return Object.keys(RULES).map((rule) => {
      if (this.violations.some((found) => found.rule === rule))
        return { rule, verdict: "violated" };
      const isWhole = this.facts.evidence.summary.ended === "healed";
      const isKnown = isWhole && this.count(rule) > 0 && !this.unknown.has(rule);
      return { rule, verdict: isKnown ? "held" : "not known" };
    });
  }
}

/** Reads a directory and judges it by every rule. */
export function judgeAll(path: string): Judge {
  return new Judge(new Facts(readEvidence(path)));
}

function wasBroken({ evidence }: Facts, family: string): boolean {
  return evidence.faults.some((fault) => fault.family === family);
}

function wasKilled({ evidence: { lives, summary } }: Facts, role: string): boolean {
  const killed = lives.filter((life) => life.role === role && life.signal === "SIGKILL");
  return killed.some(({ to }) => to < (summary.healedAt ?? 0));
}
