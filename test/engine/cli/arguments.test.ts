import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { InvalidArgumentError } from "commander";
import { duration, jsonValue, wholeNumber } from "../../../engine/cli/arguments.ts";
import { InvalidInputError } from "../../../shared/errors.ts";
import { temporaryFolder } from "../../helpers/folders.ts";

test("a whole number is read, anything else is refused with the range", (t) => {
  const read = wholeNumber(1, 100);
  t.is(read("1"), 1);
  t.is(read("100"), 100);
  for (const text of ["0", "101", "1.5", "", " ", "x", "1x", "-1", "NaN", "Infinity", "1e400"])
    t.throws(
      () => read(text),
      { instanceOf: InvalidArgumentError, message: /from 1 to 100/ },
      text,
    );
});

test("a duration is read as everywhere in Contrail", (t) => {
  t.is(duration("1m 30s"), 90_000);
  for (const text of ["10", "", "x", "-1s", "1 month"])
    t.throws(() => duration(text), { instanceOf: InvalidArgumentError }, text);
});

test("JSON is read from the text or a file", (t) => {
  t.deepEqual(jsonValue('{"a":[1,"ü"]}', "input"), { a: [1, "ü"] });
  t.is(jsonValue("null", "input"), null);
  const file = join(temporaryFolder(t), "in put.json");
  writeFileSync(file, "[1]");
  t.deepEqual(jsonValue(`@${file}`, "input"), [1]);
});

test("what is no JSON is refused by name, with how to write it", (t) => {
  for (const text of [
    "",
    "{",
    "hello",
    "{a:1}",
    "'x'",
    "[1,]",
    "\u0000",
    "@/no/such/file",
    "x".repeat(5_000),
  ]) {
    const error = t.throws(() => jsonValue(text, "input of the test"), {
      instanceOf: InvalidInputError,
    });
    t.regex(error.message, /^The input of the test /);
    t.true(error.message.length < 600);
  }
});
