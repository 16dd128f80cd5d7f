/** What entries are made of: failures, outcomes, conditions and what became of them. */

/** A thrown value as it is stored: name, message and causes survive, the class does not. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  /** Which limit was exceeded, and by what. */
  readonly exceeded?: {
    readonly limitName: string;
    readonly limit: number;
    readonly actual?: number;
  };
  readonly cause?: Failure;
}

/** How a run, or a child of a run, came to its end. */
export type Outcome =
  | { readonly status: "completed"; readonly output: unknown }
  | { readonly status: "failed"; readonly error: Failure }
  | { readonly status: "canceled"; readonly error: Failure };

/** One leaf of a condition, as stored: times are absolute, children have their ids. */
export type LeafCondition =
  | { readonly kind: "sleep"; readonly dueAt: number }
  | {
      readonly kind: "event";
      readonly name: string;
      readonly where?: unknown;
      /** Consumes only events with a higher sequence. */
      readonly after: number;
    }
  | {
      readonly kind: "child";
      readonly taskName: string;
      readonly runId: string;
      /** It goes on when this run is canceled. */
      readonly isLeft?: boolean;
    }
  | {
      /** Children awaited as one: derived ids with ordinals from `first`, `count` of them. */
      readonly kind: "children";
      readonly taskName: string;
      readonly first: number;
      readonly count: number;
      /** They go on when this run is canceled. */
      readonly isLeft?: boolean;
    };

/** What a wait waits for. A branch keeps what the user called its parts: names or positions. */
export type StoredCondition =
  | LeafCondition
  | {
      readonly kind: "anyOf" | "allOf";
      readonly of: readonly (readonly [string | number, StoredCondition])[];
    };

/** What happened to a leaf. */
export type LeafOutcome =
  | { readonly kind: "sleep" }
  | {
      readonly kind: "event";
      readonly name: string;
      readonly data: unknown;
      readonly sequence: number;
      readonly publishedAt: number;
      /** Why the payload could not be recorded; the wait fails with it, and `data` is null. */
      readonly error?: Failure;
    }
  | {
      readonly kind: "child";
      readonly taskName: string;
      readonly runId: string;
      readonly outcome: Outcome;
    }
  | {
      /** Some of the children of a group, by their position in it; the rest follow. */
      readonly kind: "children";
      readonly ended: readonly (readonly [position: number, outcome: Outcome])[];
    };
