/** What a chaos run came to in numbers. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readLines } from "./recovery.ts";

/** Operations by what they were and how they ended, and effects by phase. */
export interface Counts {
  readonly operations: Readonly<Record<string, number>>;
  readonly effects: Readonly<Record<string, number>>;
}

/** Counts what is in the folder of a chaos run. */
export function countsOf(folder: string): Counts {
  const operations: Record<string, number> = {};
  const effects: Record<string, number> = {};
  for (const file of readdirSync(folder)) {
    if (/^operations.*\.jsonl$/.test(file))
      for (const { op, edge } of readLines<{ op: string; edge: string }>(join(folder, file)))
        if (edge !== "invoke") add(operations, `${op} ${edge}`);
    if (/^effects.*\.jsonl$/.test(file))
      for (const { phase } of readLines<{ phase: string }>(join(folder, file))) add(effects, phase);
  }
  return { operations, effects };
}

function add(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
