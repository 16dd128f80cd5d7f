/** Turns what the code waits for into what is stored: times become absolute, children are started. */
import type { Condition } from "../shared/conditions.ts";
import type { Failure, LeafOutcome, StoredCondition } from "../shared/entries.ts";
import { startChild } from "./children.ts";
import type { PassRun } from "./pass-run.ts";
import type { ManyChildren, WaitWork } from "./work.ts";

/** A wait that is open, or why it cannot be. */
export type OpenedCondition =
  | {
      readonly condition: StoredCondition;
      /** Leaves that are settled by being opened: children whose id is taken. */
      readonly settled: readonly { readonly leaf: number; readonly outcome: LeafOutcome }[];
    }
  | { readonly refused: Failure };

/** Opens a wait. Doing it again for the same operation finds the same children. */
export async function openCondition(
  run: PassRun,
  key: string,
  work: WaitWork,
): Promise<OpenedCondition> {
  const opener = new Opener(run, key, work);
  const condition = await opener.open(work.condition);
  return opener.refused ? { refused: opener.refused } : { condition, settled: opener.settled };
}

class Opener {
  readonly settled: { leaf: number; outcome: LeafOutcome }[] = [];
  refused: Failure | undefined;
  readonly #run: PassRun;
  readonly #key: string;
  readonly #askedAt: number;
  #ordinal: number;
  #leaf = 0;

  constructor(run: PassRun, key: string, { firstOrdinal, askedAt }: WaitWork) {
    this.#run = run;
    this.#key = run.operationId(key);
    this.#askedAt = askedAt;
    this.#ordinal = firstOrdinal;
  }

  async open(condition: Condition | ManyChildren): Promise<StoredCondition> {
    switch (condition.kind) {
      case "sleep": {
        this.#leaf++;
        const { until } = condition;
        return { kind: "sleep", dueAt: "at" in until ? until.at : this.#after(until.afterMs) };
      }
      case "event": {
        this.#leaf++;
        const { name, where, from } = condition;
        const after =
          from === "now" ? (await this.#run.services.events.read()).after : this.#run.eventsAfter;
        return { kind: "event", name, ...(where ? { where } : {}), after };
      }
      case "child":
        return this.#openChild(condition);
      case "children":
        return this.#openChildren(condition);
      case "anyOf":
      case "allOf": {
        const of: [string | number, StoredCondition][] = [];
        for (const [name, part] of condition.of) of.push([name, await this.open(part)]);
        return { kind: condition.kind, of };
      }
    }
  }

  /** So long after the code asked, by the server's clock; never too early. */
  #after(ms: number): number {
    return this.#run.serverClock.latest(this.#askedAt) + ms;
  }

  async #openChild({ child }: Extract<Condition, { kind: "child" }>): Promise<StoredCondition> {
    const leaf = this.#leaf++;
    if (!("task" in child)) return { kind: "child", ...child, isLeft: true };
    const runId = child.id ?? this.#run.childId(this.#ordinal++);
    const { services, parent, signal } = this.#run;
    const start = { task: child.task, runId, input: child.input, key: this.#key };
    const refusal = await startChild(services, parent, start, signal);
    const taskName = child.task.name;
    if (refusal?.code === "invalid-input" || refusal?.code === "run-conflict")
      this.refused ??= refusal;
    else if (refusal) {
      const outcome = { status: "failed", error: refusal } as const;
      this.settled.push({ leaf, outcome: { kind: "child", taskName, runId, outcome } });
    }
    return { kind: "child", taskName, runId, ...(child.isLeft ? { isLeft: true } : {}) };
  }

  async #openChildren({ task, inputs, isLeft }: ManyChildren): Promise<StoredCondition> {
    this.#leaf++;
    const first = this.#ordinal;
    this.#ordinal += inputs.length;
    const { services, parent, signal } = this.#run;
    const refusals = await Promise.all(
      inputs.map((input, i) => {
        const runId = this.#run.childId(first + i);
        return startChild(services, parent, { task, runId, input, key: this.#key }, signal);
      }),
    );
    this.refused ??= refusals.find((refusal) => refusal !== undefined);
    const common = { kind: "children", taskName: task.name, first, count: inputs.length } as const;
    return isLeft ? { ...common, isLeft } : common;
  }
}
