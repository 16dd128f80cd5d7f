/** What the test kit itself complains of; errors of runs are those of the client. */
import { ContrailError } from "../shared/errors.ts";

/**
 * A test waits for what cannot happen any more, or a run came to another outcome after a crash. The
 * message says which run, and what it waits for.
 */
export class TestKitError extends ContrailError {
  readonly code = "test-kit";
  readonly retryable = false;
}
