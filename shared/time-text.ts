/** Times as people read them. Pure, and never fails: what is shown may come from anywhere. */

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;
/** The last instant that a `Date` can hold. */
const LAST_INSTANT_MS = 8.64e15;

/** A length of time by its two largest units: "250 ms", "3.2 s", "2 min 5 s", "4 d 2 h". */
export function durationText(ms: number): string {
  if (!Number.isFinite(ms)) return "an unknown time";
  if (ms < 0) return `-${durationText(-ms)}`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${Number((ms / 1000).toFixed(1))} s`;
  const wholeMs = Math.round(ms / 1000) * 1000;
  const first = UNITS.findIndex(([, unitMs]) => wholeMs >= unitMs);
  const parts: string[] = [];
  let restMs = wholeMs;
  for (const [unit, unitMs] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(restMs / unitMs);
    restMs -= count * unitMs;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(" ");
}

/** An instant as ISO 8601 text in UTC, to the second. */
export function instantText(ms: number): string {
  if (!(Math.abs(ms) <= LAST_INSTANT_MS)) return "an unknown time";
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** An instant with how long ago it was or in which time it will be. */
export function relativeText(ms: number, now: number): string {
  const text = instantText(ms);
  const agoMs = now - ms;
  if (!Number.isFinite(agoMs)) return text;
  return agoMs < 0
    ? `${text} (in ${durationText(-agoMs)})`
    : `${text} (${durationText(agoMs)} ago)`;
}
