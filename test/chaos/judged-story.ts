/** Judges made-up stories, and has parts of them. */
import { rmSync } from "node:fs";
import type { LeafCondition, Outcome } from "../../shared/entries.ts";
import { type Judge, judgeAll } from "./check/judgment.ts";
import { BEGIN, type Story } from "./story.ts";

/** The judgment of a story. */
export function judged(story: Story, prepare: (folder: string) => void = () => {}): Judge {
  const folder = story.write();
  try {
    prepare(folder);
    return judgeAll(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The rules that did not hold. */
export function broken(judge: Judge): string[] {
  return judge.verdicts().flatMap(({ rule, verdict }) => (verdict === "held" ? [] : [rule]));
}

/** How runs without operations end. */
export const DONE: Outcome = { status: "completed", output: { results: [] } };
/** What the end of a step says besides. */
export const NO_STEP: { at: number; attempts: number; durationMs: number } = {
  at: 0,
  attempts: 1,
  durationMs: 10,
};
/** The wait of `waiting`. */
export const SLEEP: string = "w0 sleep";

/** A run that begins at 80 s and waits. */
export function waiting(story: Story, run: string, condition: LeafCondition, why = true): number {
  story.now = 80_000;
  const start = story.start(run, { plan: [] });
  story.commit(run, "w2/d20", start, [
    { kind: "wait-opened", key: SLEEP, at: 0, condition },
    { kind: "waiting" },
  ]);
  if (condition.kind !== "sleep") story.register(run, [{ key: SLEEP, leaf: 0, condition }]);
  else if (why) story.timer(run, condition.dueAt - BEGIN);
  const [taskName, runId] = run.split("/");
  if (why) story.listed.push({ taskName, runId, status: "waiting", why: "It waits." });
  return start;
}

/** The sequence of a message of the honest story. */
export function at(story: Story, run: string, kind: string): number {
  return story.of(run, kind)?.sequence ?? 0;
}

/** A sleep that is not over when the story is. */
export const FOREVER: { kind: "sleep"; dueAt: number } = {
  kind: "sleep",
  dueAt: BEGIN + 9_999_999,
};
