/**
 * The outside world of a test: a file to which steps append one line for each side effect, from
 * whichever process. Appending is atomic for lines this short, so no line is lost or torn.
 */
import { appendFileSync, closeSync, openSync, readFileSync } from "node:fs";

/** One side effect. */
export interface Effect {
  /** Milliseconds since the epoch, by the clock of this machine. */
  readonly at: number;
  readonly pid: number;
  readonly run: string;
  readonly step: string;
  readonly attempt: number;
  /** Anything else that the step wanted to be known. */
  readonly note?: unknown;
}

/** Environment variable that tells a process of the test where to append. */
export const EFFECTS_VARIABLE = "CONTRAIL_E2E_EFFECTS";

let appendTo: number | undefined;

/** Appends one line to the test's file. For the steps of the test's tasks. */
export function effect(run: string, step: string, attempt = 1, note?: unknown): void {
  const file = process.env[EFFECTS_VARIABLE];
  if (file === undefined) throw new Error(`${EFFECTS_VARIABLE} names no file.`);
  appendTo ??= openSync(file, "a");
  const line: Effect = { at: Date.now(), pid: process.pid, run, step, attempt, note };
  appendFileSync(appendTo, `${JSON.stringify(line)}\n`);
}

/** Reads the effects of a test. */
export class EffectFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    closeSync(openSync(path, "a"));
  }

  /** All effects in the order in which they happened, or those of one run or one step of it. */
  read(run?: string, step?: string): Effect[] {
    return readFileSync(this.path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Effect)
      .filter((found) => run === undefined || found.run === run)
      .filter((found) => step === undefined || found.step === step);
  }

  /** How often each step of a run had its effect. */
  counts(run: string): { [step: string]: number } {
    const counts: { [step: string]: number } = {};
    for (const { step } of this.read(run)) counts[step] = (counts[step] ?? 0) + 1;
    return counts;
  }
}
