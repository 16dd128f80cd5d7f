/**
 * What a worker does with a token: the decision table of the protocol. Pure; every answer is either
 * final or decided by the guard of the claim that follows.
 *
 * D1. A token answers exactly one waiting commit, or the start, and claims nothing else (rules 1, 2).
 * D2. A token is dropped only in a state that no later commit can change back (rule 5).
 * D3. One that stands in for a lost token takes over directly behind the commit that it names, and
 *     nowhere else: once that has another successor it is as dead as any (rule 30).
 */
import { LOSSES_BEFORE_PAUSE } from "./limits.ts";
import type { RunState } from "./run-state.ts";

/** What of a token the decision needs. */
export interface TokenFacts {
  /** Its own sequence in the log. */
  readonly sequence: number;
  /** Sequence of the waiting commit it answers; 0 for the start. */
  readonly answers: number;
  /** It reopens a run that failed, whose end it answers. */
  readonly reopens?: boolean;
  /** The engine published it because nobody would deliver the run's own token again. */
  readonly standsIn?: boolean;
}

/** What the worker knows about the reading besides what was read. */
export interface ReadingFacts {
  /** The history was read at least as new as the token. */
  readonly isFresh: boolean;
  /** A pass of this very worker holds the run with this very token. */
  readonly isHeldHere: boolean;
  /** A pass of this very worker holds the run with another token. */
  readonly isHeldOtherwise?: boolean;
  /** Nobody else can have been handed this token (rule 7). */
  readonly isSurelyFirst: boolean;
}

/** What to do with the token. */
export type TokenAction =
  /** Run the code without a claim. */
  | "begin"
  /** Claim with a guard on the tail that was read, then run. */
  | "claim"
  /** The owner is lost: claim in its place. */
  | "take-over"
  /** Too many owners were lost in a row, or the history cannot be read: commit a pause instead. */
  | "pause"
  /** Its owner lives, at this worker: the token is left for later. */
  | "leave"
  /** The token led to this wait: register the wait again, then acknowledge. */
  | "register"
  /** Only extend the token's claim. */
  | "extend"
  /** The token can never claim again: acknowledge. */
  | "drop"
  /** The reading is too old to tell: read again. */
  | "read-again";

/**
 * Decides what to do with a token.
 * @param takeoverLimit After so many takeovers in a row the run is paused (rule 9).
 */
export function decideToken(
  token: TokenFacts,
  state: RunState,
  facts: ReadingFacts,
  takeoverLimit: number,
): TokenAction {
  if (state.hasNewerStart) return "drop";
  if (state.outcome) return decideEnded(token, state, facts);
  if (state.unreadableAt !== undefined && state.status !== "paused") return "pause";
  if (token.answers > state.tail) return facts.isFresh ? "drop" : "read-again";
  switch (state.status) {
    case "queued":
      if (token.answers > 0) return facts.isFresh ? "drop" : "read-again";
      return facts.isSurelyFirst ? "begin" : "claim";
    case "running":
      if (state.token !== token.sequence) {
        if (!token.standsIn || token.answers !== state.tail) return "drop";
        if (facts.isHeldOtherwise) return "leave";
      } else if (facts.isHeldHere) return "extend";
      if (state.losses >= LOSSES_BEFORE_PAUSE) return "pause";
      return state.takeovers >= takeoverLimit ? "pause" : "take-over";
    case "waiting":
      if (state.token === token.sequence) return "register";
      return token.answers === state.waitSequence ? "claim" : "drop";
    case "paused": // waits for a person, for nothing that could be registered
      return token.answers === state.waitSequence ? "claim" : "drop";
    default:
      return "drop";
  }
}

/**
 * The end of a failed run is answered like a wait, by a token that reopens it and by no other. Behind
 * a run that was retired since, the token claims all the same (rule 29).
 */
function decideEnded(
  token: TokenFacts,
  { status, tail, retiredEnd = tail }: RunState,
  facts: ReadingFacts,
): TokenAction {
  if (status !== "failed") return "drop";
  if (token.answers > tail) return facts.isFresh ? "drop" : "read-again";
  return token.reopens && token.answers === retiredEnd ? "claim" : "drop";
}
