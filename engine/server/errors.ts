/** What can go wrong between wanting a nats-server and having one that answers. */
import { ContrailError } from "../../shared/errors.ts";

/**
 * No usable nats-server was found and none could be fetched, or `CONTRAIL_NATS_SERVER` names one
 * that cannot be used. The message lists every try with its reason, and the ways out.
 */
export class ServerNotFoundError extends ContrailError {
  readonly code = "server-not-found";
  readonly retryable = false;
}

/** One way of fetching a nats-server did not work. Never leaves the finder: it tries the next way. */
export class ServerFetchError extends ContrailError {
  readonly code = "server-fetch-failed";
  readonly retryable = true;
}

/**
 * A nats-server was started and ended, or did not answer in time. The message ends with the last
 * lines of its log.
 */
export class ServerStartError extends ContrailError {
  readonly code = "server-start-failed";
  readonly retryable = true;
}
