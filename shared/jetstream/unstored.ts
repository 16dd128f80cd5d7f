/** The error for whoever asked for a write that was not stored, or perhaps not. */
import { type ErrorDetails, NotPermittedError, UnavailableError } from "../errors.ts";
import { type PublishOutcome, whyNotStored } from "./publisher.ts";

/** What became of a write, when it is not known to be stored. */
export type Unstored = Extract<PublishOutcome, { readonly ok: false }>;

/** What to say of it. */
export interface UnstoredText {
  /** What was to be stored, as the beginning of a sentence. */
  readonly what: string;
  /** What that may not have come to: `may not have been stored`. */
  readonly mayNot: string;
  /** What to do about it, as a sentence. */
  readonly advice?: string;
}

/** The error that names the reason. Asking again helps unless it is not permitted. */
export function unstoredError(
  outcome: Unstored,
  { what, mayNot, advice }: UnstoredText,
  details: ErrorDetails = {},
): UnavailableError | NotPermittedError {
  const reason = whyNotStored(outcome);
  if (outcome.kind === "refused" && outcome.isForbidden)
    return new NotPermittedError(`${what} was not stored: ${reason}`, details);
  const end = reason.endsWith(".") ? "" : ".";
  const next = advice === undefined ? "" : ` ${advice}`;
  return new UnavailableError(`${what} ${mayNot}: ${reason}${end}${next}`, details);
}
