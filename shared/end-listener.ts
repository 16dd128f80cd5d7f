/**
 * Hears of the ends of runs that this client started, from the workers that end them. A hint: it may
 * never come, so whoever waits looks at the log too, only later.
 */
import { decodeCommit, type Outcome } from "./entries.ts";
import { ContrailError } from "./errors.ts";
import { newId } from "./ids.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { EXPECTED_ENDS } from "./limits.ts";
import type { Names } from "./subjects.ts";

/** The form of a nonce that asks for a word about the end; anything else is no subject of ours. */
const FORM = /^[A-Za-z0-9_-]{22}\.[0-9a-z]{1,11}$/;

/** Whether the worker that ends the run is asked to say so. */
export function wantsEnd(nonce: string): boolean {
  return FORM.test(nonce);
}

/** The ends of runs that one client started. */
export class EndListener {
  readonly #client: string = newId();
  readonly #waiting: Map<string, (outcome: Outcome) => void> = new Map();
  #count = 0;

  constructor(link: Pick<NatsLink, "nc">, names: Names) {
    const prefix = names.endSubject(`${this.#client}.`);
    link.nc.subscribe(`${prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message.subject.slice(prefix.length), message.data);
      },
    });
  }

  /** How many ends may still be told. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A nonce for a start, and the promise of its run's end; it may stay pending for ever. */
  expect(): { readonly nonce: string; readonly end: Promise<Outcome>; forget(): void } {
    const number = (this.#count++).toString(36);
    if (this.#waiting.size >= EXPECTED_ENDS) {
      // Runs that take long, or whose word was lost: whoever waits for one reads the log by now.
      const [oldest] = this.#waiting.keys();
      this.#waiting.delete(oldest as string);
    }
    const end = new Promise<Outcome>((resolve) => this.#waiting.set(number, resolve));
    const forget = (): void => void this.#waiting.delete(number);
    return { nonce: `${this.#client}.${number}`, end, forget };
  }

  #hear(number: string, body: Uint8Array): void {
    const resolve = this.#waiting.get(number);
    if (!resolve) return;
    try {
      const last = decodeCommit(body, 0, "the end of a run").entries.at(-1);
      if (last?.kind !== "ended") return;
      this.#waiting.delete(number);
      resolve(last.outcome);
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error; // unreadable: the look at the log decides
    }
  }
}
