/**
 * Follows one run as it goes on. The live feed only rings: what is given is read from the log, so
 * nothing is missed when the feed loses messages, as it does while a connection is down.
 */
import { UnavailableError } from "./errors.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { headersOf } from "./jetstream/headers.ts";
import { listen } from "./jetstream/wire.ts";
import { notFound } from "./run-results.ts";
import { type RunView, readView } from "./run-view.ts";
import { HEADERS, type Names, type RunAddress } from "./subjects.ts";

/** The pauses between two looks at the log, while the live feed says nothing. */
const FIRST_LOOK_MS = 2_000;
const LONGEST_LOOK_MS = 30_000;
/** The pause before a replica is asked again that does not have yet what the feed told. */
const READ_AGAIN_MS = 20;
/** So often at once; then it may have been purged. */
const READ_AGAIN_TRIES = 50;
const KINDS = ["h", "c", "cancel"] as const;

/**
 * Gives a view of the run now and after each change of its history, the last one when it has ended.
 * Each is read anew: changes that come faster than the log can be read are given as one.
 * @throws {RunNotFoundError} When there is no such run, or it is purged meanwhile.
 * @throws {UnavailableError} When no server answers for about 12 s, or the client is closed.
 */
export async function* followRun(
  link: NatsLink,
  names: Names,
  run: RunAddress,
  signal?: AbortSignal,
): AsyncGenerator<RunView, void, undefined> {
  const bell = new Bell(link, names, run, signal);
  try {
    let last: RunView | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const view = await readUpTo(link, names, run, bell);
      if (last && view.startSequence !== last.startSequence) throw notFound(run);
      if (!last || isNewer(view, last)) yield view;
      last = view;
      if (view.state.outcome) return;
      await bell.wait();
    }
  } finally {
    bell.close();
  }
}

/** Reads the run, at least as new as the feed told. */
async function readUpTo(
  link: NatsLink,
  names: Names,
  run: RunAddress,
  bell: Bell,
): Promise<RunView> {
  for (let tries = 0; ; tries++) {
    const view = await readView(link, names, run);
    if (view.state.tail >= bell.heardUpTo || tries >= READ_AGAIN_TRIES) return view;
    await new Promise<void>((resolve) => void link.clock.after(READ_AGAIN_MS, resolve));
  }
}

function isNewer(view: RunView, last: RunView): boolean {
  return view.state.tail > last.state.tail || view.cancelRequest?.at !== last.cancelRequest?.at;
}

/** Rings when something may have changed. */
class Bell {
  /** Sequence of the last commit that the feed told of. */
  heardUpTo = 0;
  readonly #link: NatsLink;
  readonly #stop: (() => void)[];
  #hasRung = false;
  #isClosed = false;
  #pauseMs = FIRST_LOOK_MS;
  #wake: () => void = () => {};

  constructor(link: NatsLink, names: Names, run: RunAddress, signal?: AbortSignal) {
    this.#link = link;
    const ring = (): void => this.#ring();
    const subscriptions = KINDS.map((kind) =>
      listen(link.nc, names.liveSubject(run, kind), (message) => {
        const sequence = Number(headersOf(message).last(HEADERS.sequence) ?? 0);
        if (kind !== "cancel") this.heardUpTo = Math.max(this.heardUpTo, sequence);
        this.#pauseMs = FIRST_LOOK_MS;
        ring();
      }),
    );
    signal?.addEventListener("abort", ring, { once: true });
    this.#stop = [
      () => signal?.removeEventListener("abort", ring),
      link.onReconnect(ring),
      link.onClose(() => {
        this.#isClosed = true;
        ring();
      }),
      ...subscriptions.map((subscription) => () => subscription.unsubscribe()),
    ];
  }

  /** Returns when it has rung since it returned last, and after a while in any case. */
  async wait(): Promise<void> {
    if (!this.#hasRung) {
      const cancel = this.#link.clock.after(this.#pauseMs, () => this.#ring());
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_LOOK_MS);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      cancel();
    }
    this.#hasRung = false;
    if (this.#isClosed)
      throw new UnavailableError("The client was closed while it followed a run.");
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }

  #ring(): void {
    this.#hasRung = true;
    this.#wake();
  }
}
