/** Subjects and the patterns that match them, as the server compares them. */

/** Whether a subject holds a wildcard as one of its tokens. */
export function hasWildcard(subject: string): boolean {
  return (
    subject === "*" ||
    subject === ">" ||
    subject.includes(".*") ||
    subject.startsWith("*.") ||
    subject.endsWith(".>")
  );
}

/** Whether a pattern covers every subject that `subject`, which may be a pattern too, stands for. */
export function covers(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const wanted = pattern.split(".");
  const given = subject.split(".");
  for (let i = 0; i < wanted.length; i++) {
    const token = wanted[i];
    if (token === ">") return given.length > i;
    if (i >= given.length || given[i] === ">") return false;
    if (token !== "*" && token !== given[i]) return false;
  }
  return wanted.length === given.length;
}

/** Whether two patterns have a subject in common. */
export function overlaps(one: string, other: string): boolean {
  const left = one.split(".");
  const right = other.split(".");
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [a, b] = [left[i], right[i]];
    if (a === undefined || b === undefined) return false;
    if (a === ">" || b === ">") return true;
    if (a !== "*" && b !== "*" && a !== b) return false;
  }
  return true;
}

/** Whether something can be published to a subject: no empty tokens, no wildcards. */
export function isPublishable(subject: string): boolean {
  return subject.split(".").every((token) => token !== "" && token !== "*" && token !== ">");
}

/** A test of literal subjects against one pattern, made once and used often. */
export type SubjectTest = (subject: string) => boolean;

/** Compiles a pattern. */
export function testOf(pattern: string): SubjectTest {
  if (!hasWildcard(pattern)) return (subject) => subject === pattern;
  if (pattern === ">") return () => true;
  // What stands before the first wildcard tells most subjects apart.
  const prefix = pattern.slice(0, pattern.search(/(?<=^|\.)[*>](?=$|\.)/));
  const isTail = pattern === `${prefix}>`;
  return (subject) =>
    subject.startsWith(prefix) &&
    (isTail ? subject.length > prefix.length : covers(pattern, subject));
}

/** What a list of subject patterns matches, with a fast way for literal ones. */
export class SubjectFilter {
  /** The patterns; none matches everything. */
  readonly patterns: readonly string[];
  /** The patterns, when none of them has a wildcard; else nothing. */
  readonly literals: readonly string[] | undefined;
  readonly #tests: readonly SubjectTest[];

  constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    const isLiteral = patterns.length > 0 && !patterns.some(hasWildcard);
    this.literals = isLiteral ? patterns : undefined;
    this.#tests = patterns.map(testOf);
  }

  matches(subject: string): boolean {
    return this.#tests.length === 0 || this.#tests.some((test) => test(subject));
  }
}
