/** The named places of the product, in the hands of a test: who comes there stops until let go. */
import { until } from "../helpers/until.ts";

/** A place where one process stops. */
export interface Barrier {
  readonly isReached: boolean;
  /** Resolves when somebody stands there. */
  reached(): Promise<void>;
  /** Lets them go, and everybody who comes later pass. */
  open(): void;
}

interface Place {
  readonly name: string;
  left: number;
  isReached: boolean;
  readonly opened: Promise<void>;
}

/** The failpoints of one worker or engine. */
export class Barriers {
  readonly #who: string;
  readonly #places: Place[] = [];
  /** Every place that was passed or reached, in order. */
  readonly passed: string[] = [];

  constructor(who: string) {
    this.#who = who;
  }

  /** Stops whoever comes to this place for the `count`th time from now on. */
  at(name: string, count = 1): Barrier {
    let open: () => void = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const place: Place = { name, left: count, isReached: false, opened };
    this.#places.push(place);
    return {
      get isReached() {
        return place.isReached;
      },
      reached: async () => {
        await until(() => place.isReached, {
          withinMs: 20_000,
          what: `${this.#who} is ${name} (it passed ${this.passed.join(", ") || "nothing"})`,
        });
      },
      open: () => {
        place.left = 0;
        open();
      },
    };
  }

  /** What the product calls. */
  readonly failpoint = (name: string): Promise<void> | undefined => {
    this.passed.push(name);
    const counting = this.#places.filter((place) => place.name === name && place.left > 0);
    const stopping = counting.filter((place) => --place.left === 0)[0];
    if (stopping) stopping.isReached = true;
    return stopping?.opened;
  };
}
