/**
 * Ends runs that nobody has begun: canceled in the queue, or not begun in time. Needs no worker.
 *
 * Q1. The end is appended only to an empty history: a worker that begins the run at this moment, or
 *     has begun it and not said so yet, wins or loses by the guard alone.
 */
import { cancelEntry, canceledOutcome, expiredOutcome } from "../shared/early-ends.ts";
import { wantsEnd } from "../shared/end-listener.ts";
import { type Entry, encodeCommit, type Outcome } from "../shared/entries.ts";
import {
  ContrailError,
  NotPermittedError,
  UnavailableError,
  UndecodableError,
} from "../shared/errors.ts";
import { purgeSubject } from "../shared/jetstream/admin.ts";
import { Backoff, pause } from "../shared/jetstream/backoff.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type CancelRequest, decodeExpiry, decodeStart } from "../shared/messages.ts";
import { STATUS_HEADER } from "../shared/subjects.ts";
import type { EngineServices } from "./services.ts";

/** Whose commits these are. */
const ENGINE_PASS = "engine";
const RETRY_PAUSES = { shortestMs: 100, longestMs: 5_000 };

/** Ends queued runs for one term. */
export class QueuedRuns {
  readonly #services: EngineServices;
  #ended = 0;

  constructor(services: EngineServices) {
    this.#services = services;
  }

  /** How many were ended since the term began. */
  get ended(): number {
    return this.#ended;
  }

  /** Takes an `expired` message: what a run's deadline says when it is over. */
  async expire(message: StoredMessage): Promise<void> {
    const { names, log, link, clock, signal, undecodable } = this.#services;
    const { subject, sequence } = message;
    const backoff = new Backoff(RETRY_PAUSES);
    while (!signal.aborted)
      try {
        const { startSequence, limitMs } = decodeExpiry(
          message.data,
          `${subject}, sequence ${sequence}`,
        );
        const { prefix, stream } = names.run(names.parse(subject));
        const entry = { kind: "timed-out", limitMs } as const;
        await this.#end({ prefix, stream, startSequence }, entry, expiredOutcome(limitMs));
        await purgeSubject(link.requests, { stream, subject, before: sequence + 1 }, { signal });
        return;
      } catch (error) {
        if (!(error instanceof ContrailError)) throw error;
        if (signal.aborted) return;
        log.warn(`A run's time in the queue could not be seen to: ${error.message}`, { subject });
        if (error instanceof UndecodableError) {
          const fate = "It ends nothing.";
          undecodable.note({ subject, sequence, problem: error.message, fate });
        }
        // What the engine may not do is mended on the server, and then done.
        if (!error.retryable && !(error instanceof NotPermittedError)) return;
        await pause(clock, backoff.next(), signal);
      }
  }

  /** Ends a queued run as canceled. Nothing when somebody has begun it. */
  async cancel(
    run: { readonly prefix: string; readonly stream: string },
    request: CancelRequest,
  ): Promise<void> {
    const { startSequence } = request;
    await this.#end({ ...run, startSequence }, cancelEntry(request), canceledOutcome(request));
  }

  async #end(
    run: { readonly prefix: string; readonly stream: string; readonly startSequence: number },
    entry: Entry,
    outcome: Outcome,
  ): Promise<void> {
    const { link, names, clock, signal } = this.#services;
    const { prefix, stream, startSequence } = run;
    const subject = `${prefix}.token.start`;
    const stored = await link.reader.lastFor(stream, subject, { leader: true, signal });
    if (stored?.sequence !== startSequence) return; // purged, and perhaps started again since
    const start = decodeStart(stored.data, `${subject}, sequence ${startSequence}`);
    const history = `${prefix}.${start.parent ? "c" : "h"}`;
    const frame = { startSequence, pass: ENGINE_PASS, token: startSequence, time: clock.now() };
    const entries = [entry, { kind: "ended", outcome } as const];
    const body = encodeCommit({ ...frame, entries }, history);
    const end = await link.publisher.guardedPublish(history, body, {
      expect: 0,
      headers: [[STATUS_HEADER, outcome.status]],
      signal,
    });
    if (!end.ok && end.kind === "guard") return; // somebody has begun it
    if (!end.ok) throw new UnavailableError(`The end of ${prefix} may not be stored: ${end.kind}.`);
    this.#ended++;
    if (wantsEnd(start.nonce)) link.publisher.tell(names.endSubject(start.nonce), body);
  }
}
