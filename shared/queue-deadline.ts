/**
 * The time that a run may spend in the queue, kept by a schedule of the server: it is over also when
 * no worker has ever seen the run.
 */
import type { NatsLink } from "./jetstream/connection.ts";
import { unstoredError } from "./jetstream/unstored.ts";
import { encodeExpiry } from "./messages.ts";
import { HEADERS, type Names, type RunAddress } from "./subjects.ts";

/**
 * Sets the deadline of a run that was just started, or was started before: setting it twice is safe,
 * and one that is over when the run has begun changes nothing.
 * @throws {UnavailableError} When it may not have been stored.
 * @throws {NotPermittedError} When the user of the connection may not set it.
 */
export async function setQueueDeadline(
  link: Pick<NatsLink, "publisher" | "reader">,
  names: Names,
  address: RunAddress,
  limitMs: number,
): Promise<void> {
  const { prefix, stream } = names.run(address);
  const subject = `${prefix}.token.start`;
  const start = await link.reader.lastFor(stream, subject, { leader: true });
  if (!start) return; // it has ended and is purged
  const at = new Date(Math.ceil(start.timeMs + limitMs)).toISOString();
  const body = encodeExpiry({ startSequence: start.sequence, limitMs });
  const outcome = await link.publisher.guardedPublish(`${prefix}.deadline`, body, {
    expect: start.sequence,
    expectSubject: subject,
    headers: [
      [HEADERS.schedule, `@at ${at}`],
      [HEADERS.scheduleTarget, `${prefix}.expired`],
    ],
  });
  if (outcome.ok || outcome.kind === "guard") return;
  throw unstoredError(
    outcome,
    {
      what: `The limit of the time in the queue of run "${address.runId}" of task "${address.taskName}", which was started,`,
      mayNot: "may not have been stored",
      advice: "Starting it again with the same id is safe.",
    },
    { ...address },
  );
}
