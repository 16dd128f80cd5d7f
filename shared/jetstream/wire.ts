/** What the adapters need to know of a connection, and no more. */
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";

/** Ends a registration of a listener. */
export type StopListening = () => void;

/** One connection to a server or cluster that outlives single servers. */
export interface Wire {
  /** The client's connection, for the few things that need all of it. */
  readonly nc: NatsConnection;
  readonly clock: Clock;
  /** Whether the connection stood when the client last said something about it. */
  readonly isConnected: boolean;
  /** Bytes of headers and payload that the server accepts in one message. */
  readonly maxPayload: number;
  /** Prefix of all reply subjects of this connection: unique, ends with a dot. */
  readonly inboxPrefix: string;
  /** Calls back each time the connection is lost. Whatever was under way may or may not arrive. */
  onDisconnect(listener: () => void): StopListening;
  /** Calls back each time a lost connection stands again. Subscriptions are back, pulls are not. */
  onReconnect(listener: () => void): StopListening;
  /** Calls back once, when the connection is closed for good. */
  onClose(listener: () => void): StopListening;
  /** Calls back when the server forbids publishing to a subject. */
  onForbidden(listener: (subject: string) => void): StopListening;
}

/** A list of listeners. A listener that throws does not keep the others from being called. */
export class Listeners<Arguments extends readonly unknown[] = []> {
  readonly #listeners = new Set<(...values: Arguments) => void>();

  add(listener: (...values: Arguments) => void): StopListening {
    // Wrapped so that the same function can be added twice and removed once.
    const entry = (...values: Arguments): void => listener(...values);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  call(...values: Arguments): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...values);
      } catch (error) {
        raise(error);
      }
    }
  }
}

/**
 * Listens to a subject. What `receive` throws is raised where the client does not see it: it would
 * end the client's reading loop, and with it the connection, without a word.
 */
export function listen(
  nc: NatsConnection,
  subject: string,
  receive: (message: Msg) => void,
): Subscription {
  return nc.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      try {
        receive(message);
      } catch (thrown) {
        raise(thrown);
      }
    },
  });
}

/** Rethrows where nobody can catch it: an error of ours that must be loud. */
export function raise(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
