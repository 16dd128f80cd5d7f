/** Who listens to which core subjects. */
import { hasWildcard, type SubjectTest, testOf } from "./subject-pattern.ts";

interface Subscribed<Listener> {
  readonly test: SubjectTest;
  readonly listener: Listener;
  /** Of those with one name, one gets each message. */
  readonly queue: string | undefined;
}

/** All subscriptions of a server, in the order in which they were made. */
export class Subscriptions<Listener> {
  readonly #literal: Map<string, Set<Subscribed<Listener>>> = new Map();
  readonly #wild: Set<Subscribed<Listener>> = new Set();
  #turn = 0;

  /** Adds one; returns what removes it. */
  add(subject: string, listener: Listener, queue?: string): () => void {
    const subscribed = { test: testOf(subject), listener, queue };
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

  /** Those who get a message to a subject: of each queue the next one, and all others. */
  match(subject: string): Listener[] {
    const found: Listener[] = [];
    let queues: Map<string, Listener[]> | undefined;
    const take = ({ listener, queue }: Subscribed<Listener>): void => {
      if (queue === undefined) found.push(listener);
      else {
        queues ??= new Map();
        queues.set(queue, [...(queues.get(queue) ?? []), listener]);
      }
    };
    for (const subscribed of this.#literal.get(subject) ?? []) take(subscribed);
    for (const subscribed of this.#wild) if (subscribed.test(subject)) take(subscribed);
    for (const members of queues?.values() ?? [])
      found.push(members[this.#turn++ % members.length] as Listener);
    return found;
  }

  /** Whether anybody listens to a subject. */
  has(subject: string): boolean {
    if (this.#literal.has(subject)) return true;
    for (const { test } of this.#wild) if (test(subject)) return true;
    return false;
  }
}
