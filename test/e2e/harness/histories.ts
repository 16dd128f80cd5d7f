/** What every history must look like, whatever happened to the processes that wrote it. */
import type { ExecutionContext } from "ava";
import type { RunView } from "../../../shared/index.ts";

/** Checks that a run ended once and that its passes did not mix. */
export function checkHistory(t: ExecutionContext, view: RunView): void {
  const entries = view.commits.flatMap(({ entries }) => entries);
  const ends = entries.filter(({ kind }) => kind === "ended");
  t.is(ends.length, 1, "the run ended once");
  t.is(entries.at(-1)?.kind, "ended", "nothing follows the end");
  const passes: string[] = [];
  for (const { pass } of view.commits) if (passes.at(-1) !== pass) passes.push(pass);
  t.deepEqual(passes, [...new Set(passes)], "no pass appended after another one had");
  const done = entries.flatMap((entry) => (entry.kind === "step-completed" ? [entry.key] : []));
  t.deepEqual(done, [...new Set(done)], "no step is recorded twice");
}

/** The names of the steps whose checkpoints are stored. */
export function checkpoints(view: RunView): string[] {
  return view.commits.flatMap(({ entries }) =>
    entries.flatMap((entry) =>
      entry.kind === "step-completed" ? [entry.key.slice(entry.key.indexOf(" ") + 1)] : [],
    ),
  );
}

/** How often a run was claimed, and for what reason. */
export function claims(view: RunView): string[] {
  return view.commits.flatMap(({ entries }) =>
    entries.flatMap((entry) => (entry.kind === "claimed" ? [entry.because] : [])),
  );
}
