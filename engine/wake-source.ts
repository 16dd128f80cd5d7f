/**
 * Says what will wake a run, or that nobody will. Pure.
 *
 * V1. A token that answers the last commit of a run is never rightly acknowledged before that has a
 *     successor. So one that was is lost.
 * V2. What cannot be told apart is called unclear: a token that was delivered and not acknowledged may
 *     be at a worker, or be delivered again; or somebody acknowledged it in another's place.
 */
import { fateOf, type GroupProgress } from "./group-progress.ts";
import type { RunPicture } from "./run-pictures.ts";

/** What is known of a run besides its log. */
export interface Surroundings {
  /** The consumer group of its task; nothing when it has none. */
  readonly progress: GroupProgress | undefined;
  /** The worker that shows a slot for it. */
  readonly holder: string | undefined;
  /** The waiting commit that the engine has answered already; 0 when there is none. */
  readonly answeredAt: number;
}

/** What becomes of a run. */
export type WakeVerdict =
  | {
      readonly kind: "sure";
      /** What the run is doing, for people who count. */
      readonly as: "queued" | "running" | "waiting" | "paused";
      readonly source: "token" | "worker" | "timer" | "wait" | "timer and wait" | "person";
    }
  | { readonly kind: "unclear" }
  | { readonly kind: "lost"; readonly reason: LostReason };

/** Why nobody will wake a run. */
export type LostReason = "no-token" | "no-timer" | "no-wait" | "no-registration" | "no-start";

/** Judges one run. */
export function judgeWake(run: RunPicture, around: Surroundings): WakeVerdict {
  const { status, tail, missing, registered, registeredAt } = run;
  if (status === "paused") return { kind: "sure", as: "paused", source: "person" };
  if (status !== "waiting" && around.holder !== undefined)
    return { kind: "sure", as: "running", source: "worker" };
  const fates = run.tokens.map((sequence) => fateOf(sequence, around.progress));
  if (fates.includes("deliverable")) return { kind: "sure", as: status, source: "token" };
  if (fates.includes("held")) return { kind: "unclear" };
  if (status !== "waiting") return { kind: "lost", reason: "no-token" };
  if (missing.length === 2) return { kind: "lost", reason: "no-registration" };
  if (missing.length === 1) return { kind: "lost", reason: `no-${missing[0] as "timer" | "wait"}` };
  // It was registered again behind a token that said nothing: that one counts no more.
  const isTokenLost = run.tokens.some((sequence) => sequence > registeredAt);
  if (isTokenLost || around.answeredAt === tail) return { kind: "lost", reason: "no-token" };
  const [first] = registered;
  if (first === undefined) return { kind: "lost", reason: "no-registration" };
  return {
    kind: "sure",
    as: "waiting",
    source: registered.length === 2 ? "timer and wait" : first,
  };
}
