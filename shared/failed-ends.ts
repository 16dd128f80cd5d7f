/** What may follow the end of a run in its history. Nothing does, but behind a failed one. Pure. */
import type { Commit, Outcome } from "./entries.ts";

/** Only a run that failed is ever reopened, by the claim of a token that answers its end. */
export function reopens({ status }: Outcome, { entries }: Pick<Commit, "entries">): boolean {
  return status === "failed" && entries.some(({ kind }) => kind === "retried");
}

/** Notes the end behind which a run is retired by this commit (rule 29). Returns the same state. */
export function retire<S extends { retiredEnd?: number }>(
  state: S,
  { entries }: Pick<Commit, "entries">,
): S {
  for (const entry of entries) if (entry.kind === "retired") state.retiredEnd = entry.end;
  return state;
}
