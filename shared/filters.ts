/** Which events a wait takes: patterns of names, and filters on payloads. */
export type FilterScalar = string | number | boolean | null;
/** Filter. */
export type Filter = { readonly [path: string]: unknown };
export function checkEventPattern(_pattern: unknown): asserts _pattern is string {}
export function checkFilter(where: unknown, _what: string): Filter {
  return where as Filter;
}
