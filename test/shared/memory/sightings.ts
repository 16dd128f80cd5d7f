/**
 * Which interesting states simulations came to. A simulation that never comes to one shows nothing about
 * it, however many seeds it plays.
 */
import type { Entry } from "../../../shared/entries.ts";

/** What has to happen in some seed. */
const STATES = [
  "a guard refuses a write",
  "another write to the guard's subject is under way (10164)",
  "a write is stored and its reply is lost",
  "a write is lost",
  "a write arrives late",
  "a replica that is behind answers",
  "a firing is refused",
  "another server leads",
  "the server restarts",
  "a process dies",
  "a process is stopped and goes on",
  "a connection breaks",
  "a token that is held is delivered again",
  "a run is taken over",
  "a run is taken over again before it has gone on",
  "a run is woken by a timer",
  "a run is woken by an event or a child",
  "a run goes on at another worker",
  "an event wins against a timer",
  "a timer wins against an event",
  "a run is canceled",
  "a run continues with an empty history",
  "two tokens answer one wait",
] as const;

/** One of them. */
export type State = (typeof STATES)[number];

const NOTED: { readonly [what: string]: State } = {
  "write conflict": "another write to the guard's subject is under way (10164)",
  "write reply-lost": "a write is stored and its reply is lost",
  "write lost": "a write is lost",
  "write delayed": "a write arrives late",
  "stale read": "a replica that is behind answers",
  "firing refused": "a firing is refused",
  "leader change": "another server leads",
  restart: "the server restarts",
  death: "a process dies",
  "incident stop": "a process is stopped and goes on",
  "incident break": "a connection breaks",
  "incident again": "a token that is held is delivered again",
};

/** Counts states over many simulations. */
export class Sightings {
  readonly counts: Map<State, number> = new Map();

  /** What the trace of a simulation says. */
  note(what: string, number: number): void {
    const state = NOTED[what];
    if (state !== undefined) this.#saw(state);
    if (what === "write refused" && number === 10071) this.#saw("a guard refuses a write");
  }

  /** What the history of a run says, and how many tokens it had. */
  history(entries: readonly Entry[], tokenCount: number): void {
    let worker: string | undefined;
    let before: Entry | undefined;
    let waits = 0;
    for (const entry of entries) {
      if (entry.kind === "waiting") waits++;
      if (entry.kind === "cancel-requested") this.#saw("a run is canceled");
      if (entry.kind === "continued") this.#saw("a run continues with an empty history");
      if (entry.kind === "wait-settled" && entry.key.includes("anyOf("))
        this.#saw(
          entry.outcome.kind === "sleep"
            ? "a timer wins against an event"
            : "an event wins against a timer",
        );
      if (entry.kind === "claimed") {
        if (worker !== undefined && worker !== entry.worker)
          this.#saw("a run goes on at another worker");
        worker = entry.worker;
        if (entry.because === "timer") this.#saw("a run is woken by a timer");
        if (entry.because === "match") this.#saw("a run is woken by an event or a child");
        if (entry.because === "takeover") this.#saw("a run is taken over");
        if (entry.because === "takeover" && before?.kind === "claimed")
          this.#saw("a run is taken over again before it has gone on");
      }
      before = entry;
    }
    if (tokenCount > waits) this.#saw("two tokens answer one wait");
  }

  /** What no simulation came to. */
  get missing(): State[] {
    return STATES.filter((state) => !this.counts.has(state));
  }

  #saw(state: State): void {
    this.counts.set(state, (this.counts.get(state) ?? 0) + 1);
  }
}

/** Of all simulations of this process. */
export const sightings: Sightings = new Sightings();
