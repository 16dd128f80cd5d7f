/**
 * What the last message of a subject hides. Anybody who may write to a log can publish what nobody can
 * read behind a message that counts; an engine that begins is handed the last one alone.
 */
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { Backoff, pause } from "../shared/jetstream/backoff.ts";
import type { Reader, StoredMessage } from "../shared/jetstream/reader.ts";
import type { EngineServices } from "./services.ts";

/** Where to look. */
export interface HiddenMessage<T> {
  readonly stream: string;
  /** The message that cannot be read. */
  readonly unreadable: Pick<StoredMessage, "subject" | "sequence">;
  /** What a message says. Throws a ContrailError when it cannot be read. */
  readonly read: (message: StoredMessage) => T;
}

/** What looking needs. */
export interface LastReadableServices extends Pick<EngineServices, "clock" | "log" | "signal"> {
  readonly link: { readonly reader: Pick<Reader, "readSubject" | "lastFor"> };
}

const RETRY_PAUSES = { shortestMs: 50, longestMs: 2_000 };

/**
 * The last message of the subject that can be read, or nothing: when there is none, when the subject
 * was purged, or when the term has ended. Reads the whole subject, and goes on until it could.
 */
export async function lastReadable<T>(
  { link, clock, log, signal }: LastReadableServices,
  { stream, unreadable, read }: HiddenMessage<T>,
): Promise<T | undefined> {
  const { subject, sequence } = unreadable;
  const backoff = new Backoff(RETRY_PAUSES);
  while (!signal.aborted) {
    try {
      const messages = await link.reader.readSubject(stream, subject, 1, { signal });
      // A replica without the one that cannot be read may lack the one before it too.
      if ((messages.at(-1)?.sequence ?? 0) >= sequence) return findLast(messages, read);
      const last = await link.reader.lastFor(stream, subject, { leader: true, signal });
      if ((last?.sequence ?? 0) < sequence) return undefined;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      if (!signal.aborted)
        log.warn(`Looking behind what cannot be read failed: ${error.message}`, { subject });
    }
    await pause(clock, backoff.next(), signal);
  }
  return undefined;
}

function findLast<T>(
  messages: readonly StoredMessage[],
  read: (message: StoredMessage) => T,
): T | undefined {
  for (const message of [...messages].reverse()) {
    try {
      return read(message);
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error; // the one before it, then
    }
  }
  return undefined;
}
