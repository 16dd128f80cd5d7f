/**
 * Publishes tokens, each guarded by the waiting commit that it answers: when the run has gone on, it
 * is refused. After a lost reply it is published again; the second one is a dead token (rule 16).
 */
import { Backoff, pause } from "../shared/jetstream/backoff.ts";
import { whyNotStored } from "../shared/jetstream/publisher.ts";
import { type Because, type EnclosedEvent, encodeReady } from "../shared/messages.ts";
import type { PendingWait } from "./conditions.ts";
import type { RecentEvents } from "./recent-events.ts";
import type { EngineServices } from "./services.ts";

/** A token encloses no more than this many events; the others are read by whoever claims the run. */
const ENCLOSED_EVENTS = 16;
/** Tokens on their way at once. */
const PUBLISHED_AT_ONCE = 512;
const RETRY_PAUSES = { shortestMs: 50, longestMs: 2_000 };

/** Tokens of answered waits, published a bounded number at a time. */
export class TokenQueue {
  readonly #services: EngineServices;
  readonly #recent: Pick<RecentEvents, "get">;
  readonly #onStored: (target: ReadyTarget) => void;
  readonly #waiting: PendingWait[] = [];
  #publishing = 0;
  #published = 0;
  #refused = 0;

  /**
   * @param recent Events that tokens may enclose.
   * @param onStored Told of each token that is stored.
   */
  constructor(
    services: EngineServices,
    recent: Pick<RecentEvents, "get">,
    onStored: (target: ReadyTarget) => void = () => {},
  ) {
    this.#onStored = onStored;
    this.#services = services;
    this.#recent = recent;
  }

  /** How many are not settled. */
  get size(): number {
    return this.#publishing + this.#waiting.length;
  }

  /** How many were stored. */
  get published(): number {
    return this.#published;
  }

  /** How many were refused because the run had gone on. */
  get refused(): number {
    return this.#refused;
  }

  /** Publishes the token of a wait as soon as there is room. */
  add(wait: PendingWait): void {
    this.#waiting.push(wait);
    this.#publishNext();
  }

  #publishNext(): void {
    while (this.#publishing < PUBLISHED_AT_ONCE) {
      const wait = this.#waiting.shift();
      if (wait === undefined) return;
      this.#publishing++;
      void this.#publish(wait)
        .catch((error: unknown) => {
          const fields = { run: wait.prefix };
          this.#services.log.error(`A token was not published: ${String(error)}`, fields);
        })
        .finally(() => {
          this.#publishing--;
          this.#publishNext();
        });
    }
  }

  async #publish(wait: PendingWait): Promise<void> {
    const { failpoint } = this.#services;
    const { waitSequence, startSequence, isChild } = wait;
    const because = wait.because();
    const token = { answers: waitSequence, startSequence, isChild, because };
    const body = encodeReady(token, this.#enclosed(because));
    const before = failpoint("engine-before-ready");
    if (before) await before;
    const end = await publishReady(this.#services, wait, body);
    if (end === "stored") {
      this.#published++;
      this.#onStored(wait);
    }
    if (end === "refused") this.#refused++;
    const after = failpoint("engine-after-ready");
    if (after) await after;
  }

  /** Copies of the events that the token names, as far as they are small and recent. */
  #enclosed({ events = [] }: Because): EnclosedEvent[] {
    return events
      .slice(0, ENCLOSED_EVENTS)
      .flatMap(([, , sequence]) => this.#recent.get(sequence)?.enclosed ?? []);
  }
}

/** Where a token goes, and the waiting commit that it answers. */
export interface ReadyTarget {
  /** Prefix of the run's subjects. */
  readonly prefix: string;
  readonly waitSequence: number;
  readonly isChild: boolean;
}

/**
 * Publishes a token as long as the run still waits at the commit that it answers.
 * @returns "refused" when the run has gone on, "given-up" when the term ended before it was settled.
 */
export async function publishReady(
  services: Pick<EngineServices, "link" | "clock" | "log" | "signal">,
  { prefix, waitSequence, isChild }: ReadyTarget,
  body: Uint8Array,
): Promise<"stored" | "refused" | "given-up"> {
  const { link, clock, log, signal } = services;
  const backoff = new Backoff(RETRY_PAUSES);
  while (!signal.aborted) {
    const outcome = await link.publisher.guardedPublish(`${prefix}.token.ready`, body, {
      expect: waitSequence,
      expectSubject: `${prefix}.${isChild ? "c" : "h"}`,
      signal,
    });
    if (outcome.ok) return "stored";
    if (outcome.kind === "guard") return "refused";
    if (signal.aborted) break;
    const why = whyNotStored(outcome);
    log.warn(`A token is not stored yet and will be published again: ${why}`, { run: prefix });
    await pause(clock, backoff.next(), signal);
  }
  return "given-up";
}
