/**
 * What the server forbids to the user of a connection. It says so on its own, not in answer to
 * anything: it names the subject, and whoever waits for an answer there would wait in vain.
 */
import { NotPermittedError, UnavailableError } from "../errors.ts";
import { pause } from "./backoff.ts";
import type { Wire } from "./wire.ts";

/** That the user of the connection may not publish to a subject. */
export function mayNotPublish(subject: string, what: string): NotPermittedError {
  return new NotPermittedError(`${what}: ${whyForbidden(subject)}`, { subject });
}

/** The same as a sentence. */
export function whyForbidden(subject: string): string {
  return `These credentials may not publish to "${subject}". Use others, or add the subject to what their user may publish to on the server; docs/security.md lists what each role needs.`;
}

/**
 * Makes sure that replies can be received, which nothing works without. Asks the server once.
 * @throws {NotPermittedError} When they cannot.
 */
export async function checkInbox(wire: Wire, withinMs: number): Promise<void> {
  const { nc, clock, inboxPrefix } = wire;
  const subject = `${inboxPrefix}check`;
  let isForbidden = false;
  const subscription = nc.subscribe(subject, {
    callback: (error) => {
      isForbidden ||= error !== null;
    },
  });
  const over = new AbortController();
  const silence = pause(clock, withinMs, over.signal).then(() => {
    if (!over.signal.aborted)
      throw new UnavailableError(`The server did not answer within ${withinMs} ms.`);
  });
  try {
    await Promise.race([nc.flush(), silence]);
  } finally {
    over.abort();
  }
  if (isForbidden)
    throw new NotPermittedError(
      `These credentials may not subscribe to "${inboxPrefix}>", where replies would come. Set inboxPrefix (--inbox-prefix, NATS_INBOX_PREFIX) to the first tokens of what their user may subscribe to, such as "_INBOX_client".`,
      { subject },
    );
  subscription.unsubscribe();
}
