/**
 * Shifts the wall clock of this process: import it before anything else. By how many milliseconds
 * comes from the environment at first, and later by messages `{ clockMs }` from the runner. What counts
 * time that passes (timers, `performance`) stays as it is, as when somebody sets a machine's clock.
 */
const TrueDate = globalThis.Date;
let offsetMs = Number(process.env["CONTRAIL_CHAOS_CLOCK_MS"] ?? 0);

class ShiftedDate extends TrueDate {
  constructor(...given: [] | [number]) {
    if (given.length === 0) super(ShiftedDate.now());
    else super(...given);
  }

  static override now(): number {
    return TrueDate.now() + offsetMs;
  }
}

process.on("message", (message: { readonly clockMs?: number }) => {
  if (typeof message.clockMs === "number") offsetMs = message.clockMs;
});

globalThis.Date = ShiftedDate as unknown as DateConstructor;

export {};
