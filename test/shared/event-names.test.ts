import test from "ava";
import fc from "fast-check";
import { describe } from "../../shared/describe.ts";
import { InvalidInputError } from "../../shared/errors.ts";
import {
  checkEventName,
  checkEventPattern,
  EVENT_NAME_BYTES,
  matchesName,
} from "../../shared/event-names.ts";

const longest = "é".repeat(EVENT_NAME_BYTES / 2);

for (const name of ["a", "order.paid", "order.42.größe-🙂", "$SYS.x", longest])
  test(`${describe(name)} is a name of an event, and its own pattern`, (t) => {
    t.notThrows(() => checkEventName(name));
    t.notThrows(() => checkEventPattern(name));
    t.true(matchesName(name, name));
  });

const refused: readonly [name: unknown, problem: RegExp][] = [
  ["", /The event name "" is empty\. Expected 1 to 200 bytes/],
  [".", /has an empty token/],
  ["a..b", /has an empty token/],
  [".a", /has an empty token/],
  ["a.", /has an empty token/],
  ["a b", /has a space or a control character/],
  ["a\u0000", /has a space or a control character/],
  ["a\u2003b", /has a space or a control character/],
  ["\ud800", /has half of a surrogate pair/],
  [`${longest}a`, /is longer than 200 bytes/],
  ["a".repeat(100_000), /is longer than 200 bytes/],
  [42, /The event name 42 is not a text/],
  [undefined, /is not a text/],
  [["a"], /is not a text/],
];

for (const [index, [name, message]] of refused.entries())
  test(`${index}: ${describe(name)} is neither a name nor a pattern: ${message}`, (t) => {
    t.throws(() => checkEventName(name), { instanceOf: InvalidInputError, message });
    t.throws(() => checkEventPattern(name), { instanceOf: InvalidInputError, message });
  });

for (const pattern of ["*", ">", "order.*", "*.paid", "order.>", "*.*.>"])
  test(`${pattern} is a pattern and no name`, (t) => {
    t.notThrows(() => checkEventPattern(pattern));
    t.throws(() => checkEventName(pattern), {
      message: /has a wildcard, and an event has one name/,
    });
  });

for (const [pattern, message] of [
  [">.a", /has ">" before its end/],
  ["a.>.>", /has ">" before its end/],
  ["order*", /has a wildcard inside a token/],
  ["a.>>", /has a wildcard inside a token/],
] as const)
  test(`${pattern} is no pattern`, (t) => {
    t.throws(() => checkEventPattern(pattern), { instanceOf: InvalidInputError, message });
  });

const matches: readonly [pattern: string, name: string, isMatch: boolean][] = [
  ["order.paid", "order.paid", true],
  ["order.paid", "order.Paid", false],
  ["order", "order.paid", false],
  ["order.paid", "order", false],
  ["*", "order", true],
  ["*", "order.paid", false],
  ["order.*", "order.paid", true],
  ["order.*", "order", false],
  ["order.*", "order.paid.twice", false],
  ["*.paid", "order.paid", true],
  ["*.paid", "order.refused", false],
  [">", "order", true],
  [">", "order.paid", true],
  ["order.>", "order.paid.twice", true],
  ["order.>", "order", false],
  ["order.>", "user.paid", false],
  ["*.*.>", "a.b.c.d", true],
  ["*.*.>", "a.b", false],
];

for (const [pattern, name, isMatch] of matches)
  test(`${pattern} ${isMatch ? "matches" : "does not match"} ${name}`, (t) =>
    t.is(matchesName(pattern, name), isMatch));

test("patterns match as the rules of NATS, written as regular expressions, say", (t) => {
  const token = fc.constantFrom("a", "b", "c");
  const names = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join("."));
  const patterns = fc
    .tuple(fc.array(fc.constantFrom("a", "b", "*"), { maxLength: 4 }), fc.boolean())
    .filter(([tokens, isOpen]) => tokens.length > 0 || isOpen)
    .map(([tokens, isOpen]) => [...tokens, ...(isOpen ? [">"] : [])].join("."));
  fc.assert(
    fc.property(patterns, names, (pattern, name) => {
      checkEventPattern(pattern);
      checkEventName(name);
      const source = pattern.replaceAll(".", "\\.").replaceAll("*", "[^.]+").replace(/>$/, ".+");
      return matchesName(pattern, name) === new RegExp(`^${source}$`).test(name);
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});
