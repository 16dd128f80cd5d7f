import type { LeafOutcome } from "../shared/entries.ts";

/** A leaf that happened, with when it did, to bring it into order. */
export interface Happened {
  readonly key: string;
  readonly leaf: number;
  readonly outcome: LeafOutcome;
  readonly time: number;
}
