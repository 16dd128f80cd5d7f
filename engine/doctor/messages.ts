/** Messages of the log that nobody could read. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Names } from "../../shared/subjects.ts";
import { readUndecodable } from "../../shared/undecodable.ts";
import type { Finding } from "./findings.ts";

/** Messages that are told one by one. */
const SHOWN = 10;

/** A finding for each of the newest, and one that counts them. */
export async function findMessages(link: NatsLink, names: Names): Promise<Finding[]> {
  const notes = await readUndecodable(link, names);
  const count = notes.length;
  if (count === 0)
    return [
      {
        check: "message",
        verdict: "ok",
        message: "No message of the log is known that could not be read.",
        details: { count },
      },
    ];
  const each = notes.slice(0, SHOWN).map(
    ({ stream, sequence, subject, problem, fate, by, at }): Finding => ({
      check: "message",
      verdict: "problem",
      message: `Message ${sequence} of stream ${stream}, on ${subject}, could not be read by ${by} at ${at}: ${problem} ${fate} See it with "nats stream get ${stream} ${sequence}".`,
      details: { stream, sequence, subject, problem, fate, by, at },
    }),
  );
  const summary: Finding = {
    check: "message",
    verdict: "problem",
    message: `${count === 1 ? "One message" : `${count} messages`} of the log could not be read, within the last week. Another version of Contrail or another program writes there: find out which, and keep it from doing so.`,
    details: { count },
  };
  return [summary, ...each];
}
