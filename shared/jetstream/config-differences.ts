/** Compares the configuration that exists with the one that is wanted. */

/** A configuration in the server's words. */
export type Config = Readonly<Record<string, unknown>>;

/** One field that is not as wanted. */
export interface Difference {
  /** The server's name of the field, such as `num_replicas`. */
  readonly field: string;
  readonly found: unknown;
  readonly expected: unknown;
}

/** Compares the fields that are wanted; the server has more, with defaults of its own. */
export function differencesOf(wanted: Config, found: Config): Difference[] {
  const differences: Difference[] = [];
  for (const [field, expected] of Object.entries(wanted)) {
    const value = found[field];
    if (!isSame(expected, value)) differences.push({ field, found: value, expected });
  }
  return differences;
}

/** A difference for people, such as `num_replicas is 1, expected 3`; `where` stands after the field. */
export function differenceText({ field, found, expected }: Difference, where: string = ""): string {
  return `${field}${where} is ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`;
}

/** The server leaves out what is false, empty or zero; and it may return lists in any order. */
function isSame(expected: unknown, found: unknown): boolean {
  if (isNothing(expected) && isNothing(found)) return true;
  if (Array.isArray(expected) && Array.isArray(found))
    return JSON.stringify([...expected].sort()) === JSON.stringify([...found].sort());
  if (isRecord(expected) && isRecord(found))
    return Object.entries(expected).every(([field, value]) => isSame(value, found[field]));
  return expected === found;
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined ||
    value === false ||
    value === "" ||
    value === 0 ||
    (Array.isArray(value) && value.length === 0)
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
