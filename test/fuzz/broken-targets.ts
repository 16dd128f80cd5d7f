/** Targets in which something is wrong: each must be told of. */
import { attempt, hold, type Target, target } from "./target.ts";

const kept: Uint8Array[] = [];
const lists: unknown[] = [];

/** Threads import this by its name. */
export const targets: readonly Target[] = [
  broken("hangs", () => {
    for (;;) kept.length = 0;
  }),
  broken("throws", () => attempt(() => decodeURIComponent("%"), TypeError)),
  broken("rejects", () => Promise.reject(new RangeError("later"))),
  broken("is wrong", () => hold(false, "one is two")),
  broken("pollutes", () => Object.assign(Object.prototype, { polluted: true })),
  broken("patches", () => Object.defineProperty(Array.prototype, "patched", { value: 1 })),
  broken("allocates", () => Buffer.allocUnsafeSlow(2 ** 28)),
  target({ name: "leaks", covers: [], make: () => 4_096, check: keep }),
  broken("fills the memory", () => {
    for (;;) lists.push(new Array(1_000).fill(lists.length));
  }),
];

/** Wrong at one input, which is weighed. */
function broken(name: string, check: () => unknown): Target {
  return target({
    ...{ name, covers: [] },
    make: (random) => random.whole(0, 9),
    check: (made) => (made >= 5 ? check() : undefined),
  });
}

function keep(bytes: number): void {
  kept.push(new Uint8Array(bytes));
}
