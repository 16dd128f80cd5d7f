/** Who listens to which core subjects. */
import { hasWildcard, type SubjectTest, testOf } from "./subject-pattern.ts";

interface Subscribed<Listener> {
  readonly test: SubjectTest;
  readonly listener: Listener;
}

/** All subscriptions of a server, in the order in which they were made. */
export class Subscriptions<Listener> {
  readonly #literal: Map<string, Set<Subscribed<Listener>>> = new Map();
  readonly #wild: Set<Subscribed<Listener>> = new Set();

  /** Adds one; returns what removes it. */
  add(subject: string, listener: Listener): () => void {
    const subscribed = { test: testOf(subject), listener };
    if (hasWildcard(subject)) {
      this.#wild.add(subscribed);
      return () => this.#wild.delete(subscribed);
    }
    const others = this.#literal.get(subject) ?? new Set();
    this.#literal.set(subject, others.add(subscribed));
    return () => {
      others.delete(subscribed);
      if (others.size === 0 && this.#literal.get(subject) === others) this.#literal.delete(subject);
    };
  }

  /** Those who listen to a subject. */
  match(subject: string): Listener[] {
    const found = [...(this.#literal.get(subject) ?? [])].map(({ listener }) => listener);
    for (const { test, listener } of this.#wild) if (test(subject)) found.push(listener);
    return found;
  }

  /** Whether anybody listens to a subject. */
  has(subject: string): boolean {
    if (this.#literal.has(subject)) return true;
    for (const { test } of this.#wild) if (test(subject)) return true;
    return false;
  }
}
