import type { StandardSchemaV1 } from "@standard-schema/spec";
import test from "ava";
import { z } from "zod";
import { InvalidInputError } from "../../shared/errors.ts";
import { isSchema, type Schema, validateInput } from "../../shared/schema.ts";

const Order = z.object({
  id: z.string(),
  cents: z.coerce.number(),
  items: z.array(z.object({ sku: z.string() })).default([]),
});

test("a value that fits is what the schema makes of it, at once when the schema is synchronous", (t) => {
  t.deepEqual(validateInput(Order, { id: "a", cents: "5", more: 1 }, "input"), {
    id: "a",
    cents: 5,
    items: [],
  });
});

test("a value that does not fit is refused with every issue and its path", (t) => {
  const value = { cents: "x", items: [{ sku: "a" }, {}] };
  const error = t.throws(() => validateInput(Order, value, 'input of task "pack"'), {
    instanceOf: InvalidInputError,
    message:
      /^The input of task "pack" does not fit its schema: id: .*; cents: .*; items\.1\.sku: .*\. Got \{ cents: "x"/,
  }) as InvalidInputError & { issues: { path: string[] }[] };
  t.deepEqual(
    error.issues.map((issue) => issue.path),
    [["id"], ["cents"], ["items", "1", "sku"]],
  );
});

test("an issue of the value itself has no path", (t) => {
  t.throws(() => validateInput(z.string(), 42, "input"), {
    message: /does not fit its schema: Invalid input: expected string, .*\. Got 42\.$/,
  });
});

test("many issues are counted, not all shown", (t) => {
  const issues = Array.from({ length: 13 }, (_, index) => ({
    message: `m${index}`,
    path: [index],
  }));
  t.throws(
    () =>
      validateInput(
        schema(() => ({ issues })),
        {},
        "input",
      ),
    {
      message: /9: m9; and 3 more problems\. Got \{\}\.$/,
    },
  );
});

test("a path may be of segments and symbols", (t) => {
  const issues = [{ message: "no", path: [{ key: "a" }, Symbol("b"), 0] }];
  t.throws(
    () =>
      validateInput(
        schema(() => ({ issues })),
        {},
        "input",
      ),
    {
      message: /a\.Symbol\(b\)\.0: no/,
    },
  );
});

test("an asynchronous schema is awaited", async (t) => {
  const Later = z.string().refine(async (text) => text !== "bad");
  t.is(await validateInput(Later, "good", "input"), "good");
  await t.throwsAsync(async () => validateInput(Later, "bad", "input"), {
    instanceOf: InvalidInputError,
    message: /does not fit its schema/,
  });
});

test("a schema that fails itself is named, with what it threw", async (t) => {
  const cause = new Error("database");
  const message = /The input could not be checked: its schema failed/;
  const sync = schema(() => {
    throw cause;
  });
  t.is(t.throws(() => validateInput(sync, 1, "input"), { message }).cause, cause);
  const async = schema(() => Promise.reject(cause));
  t.is(
    (await t.throwsAsync(async () => validateInput(async, 1, "input"), { message })).cause,
    cause,
  );
  for (const nothing of [undefined, null, "ok"])
    t.throws(
      () =>
        validateInput(
          schema(() => nothing as never),
          1,
          "input",
        ),
      {
        instanceOf: InvalidInputError,
        message,
      },
    );
});

test("a schema is known by the standard's property, be it an object or a function", (t) => {
  t.true(isSchema(Order));
  const callable = Object.assign(() => {}, { "~standard": Order["~standard"] });
  t.true(isSchema(callable));
  const refusing = new Proxy(
    {},
    {
      get() {
        throw new Error("no");
      },
    },
  );
  const wrong = [null, undefined, 1, "a", {}, () => 1, { "~standard": null }, refusing];
  for (const value of [...wrong, { "~standard": { version: 2, validate: () => 1 } }])
    t.false(isSchema(value));
});

function schema(
  validate: (value: unknown) => StandardSchemaV1.Result<unknown> | Promise<never>,
): Schema {
  return { "~standard": { version: 1, vendor: "test", validate } };
}
