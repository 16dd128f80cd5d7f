/**
 * Runs that mix steps, sleeps, events and children under Promise.all and Promise.race, each by a
 * program of its own. Every step records what the code had seen when it asked for it; a replay that
 * sees anything else is told to the test.
 */
import { createHash } from "node:crypto";
import { type DurableContext, durableTask, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** The side effect that says that a replay saw something else than the first execution. */
export const MISMATCH = "MISMATCH";

/** What decides a run's program. */
export interface MixedInput {
  readonly seed: number;
  /** Whether an engine is there to wake it for them. */
  readonly withChildren: boolean;
}

/** A child that takes a moment. */
export const mixedChild: Task<number, number> = task({
  name: "mixed-child",
  run: async (ms: number) => {
    await moment(ms);
    return ms;
  },
});

/** Goes through its program; returns what it saw, in order. */
export const mixed: Task<MixedInput, string[]> = durableTask({
  name: "mixed",
  run: async (input: MixedInput, ctx) => {
    const random = randomFrom(input.seed);
    const program = branch("all", 3, random, input.withChildren, "p");
    const run = new MixedRun(ctx);
    await run.go(program);
    const before = run.digest();
    await run.step("last");
    await ctx.sleepFor("1500ms"); // behind it the worker replays all of it
    const recorded = await ctx.step("seen at the end", () => before);
    if (recorded !== before) effect(ctx.runId, MISMATCH, 1, { recorded, before });
    return run.seen;
  },
});

type Node =
  | {
      readonly kind: "step" | "sleep" | "event" | "child";
      readonly id: string;
      readonly ms: number;
    }
  | { readonly kind: "all" | "race" | "sequence"; readonly id: string; readonly of: Node[] };

class MixedRun {
  readonly seen: string[] = [];
  readonly #ctx: DurableContext;

  constructor(ctx: DurableContext) {
    this.#ctx = ctx;
  }

  digest(): string {
    return createHash("sha256").update(this.seen.join("\n")).digest("hex").slice(0, 16);
  }

  async go(node: Node): Promise<string> {
    const result = await this.#go(node);
    this.seen.push(`${node.id} ${result}`);
    return node.id;
  }

  async step(id: string, ms = 0): Promise<string> {
    const before = this.digest();
    const recorded = await this.#ctx.step(id, async () => {
      effect(this.#ctx.runId, id);
      await moment(ms);
      return before;
    });
    if (recorded !== before) effect(this.#ctx.runId, MISMATCH, 1, { id, recorded, before });
    return recorded;
  }

  async #go(node: Node): Promise<string> {
    const ctx = this.#ctx;
    switch (node.kind) {
      case "step":
        return this.step(node.id, node.ms);
      case "sleep":
        await ctx.sleepFor({ milliseconds: node.ms });
        return "";
      case "event": {
        const found = await ctx.waitForEvent(`mixed.${node.ms % 3}`, {
          timeout: { milliseconds: node.ms + 300 },
        });
        return found === null ? "timeout" : String(found.data);
      }
      case "child":
        return String(await ctx.run(mixedChild, node.ms));
      case "sequence":
        for (const part of node.of) await this.go(part);
        return "";
      case "all":
        return (await Promise.all(node.of.map((part) => this.go(part)))).join();
      case "race":
        return Promise.race(node.of.map((part) => this.go(part)));
    }
  }
}

const LEAVES = ["step", "step", "sleep", "event"] as const;
const BRANCHES = ["all", "race", "sequence"] as const;
const PARTS = 3;

function branch(
  kind: (typeof BRANCHES)[number],
  depth: number,
  random: () => number,
  withChildren: boolean,
  id: string,
): Node {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const of = Array.from({ length: PARTS }, (_, i): Node => {
    const part = `${id}${i}`;
    if (depth > 1 && random() < 0.5)
      return branch(pick(BRANCHES), depth - 1, random, withChildren, part);
    const leaf = withChildren && random() < 0.2 ? "child" : pick(LEAVES);
    const ms = pick(leaf === "sleep" ? [5, 40, 200, 1_150] : [0, 5, 20, 60]);
    return { kind: leaf, id: `${part}-${leaf}`, ms };
  });
  return { kind, id: `${id}-${kind}`, of };
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixedBits = Math.imul(state ^ (state >>> 15), state | 1);
    mixedBits ^= mixedBits + Math.imul(mixedBits ^ (mixedBits >>> 7), mixedBits | 61);
    return ((mixedBits ^ (mixedBits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function moment(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
