import test from "ava";
import { isoTime, jsonText, printable, shorten, table } from "../../../engine/cli/format.ts";

test("a table aligns its columns and has no borders", (t) => {
  const text = table(
    ["TASK", "RUN"],
    [
      ["pay", "1"],
      ["a-longer-name", "22"],
    ],
  );
  t.deepEqual(text.split("\n"), ["TASK           RUN", "pay            1", "a-longer-name  22"]);
  t.is(table(["TASK"], []), "TASK");
});

test("a cell stays one line and commands no terminal", (t) => {
  const text = table(["A", "B"], [["x\ny\u001b[31m", "z".repeat(500)]]);
  t.is(text.split("\n").length, 2);
  t.false(text.includes("\u001b"));
  t.true(text.endsWith("z…"));
});

test("control characters and those that turn text around are written out", (t) => {
  t.is(printable("a\u001b[2J\n\t\u0000\u202eb"), "a\\u001b[2J\\n\\t\\u0000\\u202eb");
  t.is(printable("häß 😀 'x'"), "häß 😀 'x'");
});

test("a value that JSON does not know is written as what comes nearest", (t) => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  for (const [value, text] of [
    [undefined, "null"],
    [null, "null"],
    [12n, '"12"'],
    [Number.NaN, "null"],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [new Date(Number.NaN), "null"],
    [Uint8Array.of(1, 2), '"AQI="'],
    [new Map([[1, new Set([2n])]]), '{"1":["2"]}'],
    [{ a: undefined, b: [undefined, () => 1] }, '{"b":[null,null]}'],
    [circle, '"a value that cannot be shown"'],
    [JSON.parse('{"__proto__":{"x":1}}') as unknown, '{"__proto__":{"x":1}}'],
    [{ twice: [1, [1]] }, '{"twice":[1,[1]]}'],
  ] as const)
    t.is(jsonText(value), text);
});

test("a time in JSON is ISO 8601, or null when it is none", (t) => {
  t.is(isoTime(1_500), "1970-01-01T00:00:01.500Z");
  t.is(isoTime(Number.NaN), null);
  t.is(isoTime(1e300), null);
});

test("a text is cut between characters", (t) => {
  t.is(shorten("abc", 3), "abc");
  t.is(shorten("abcd", 3), "ab…");
  t.is(shorten("a😀b", 3), "a…");
});
