import test from "ava";
import fc from "fast-check";
import { decode, encode } from "../../shared/codec.ts";
import { isFailure } from "../../shared/entry-forms.ts";
import { InvalidInputError, LimitExceededError } from "../../shared/errors.ts";
import { fromFailure, toFailure, toLimitExceeded } from "../../shared/failures.ts";

test("a failure keeps name, message, stack, code and causes of an error, and gives them back", (t) => {
  const cause = Object.assign(new RangeError("too far"), { code: "ERANGE" });
  const error = new InvalidInputError("no", { cause });
  const failure = toFailure(error);
  t.deepEqual(failure, {
    ...{ name: "InvalidInputError", message: "no", stack: error.stack, code: "invalid-input" },
    cause: { name: "RangeError", message: "too far", stack: cause.stack, code: "ERANGE" },
  } as never);
  const back = fromFailure(failure);
  t.deepEqual([back.name, back.message, back.stack], [error.name, error.message, error.stack]);
  t.is((back as Error & { code?: string }).code, "invalid-input");
  t.is((back.cause as Error).message, "too far");
  t.deepEqual(toFailure(back), failure);
});

test("a limit that was exceeded is told with its name and numbers, also from one recording to the next", (t) => {
  const exceeded = { limitName: "waits-per-run", limit: 3, actual: 4 } as const;
  for (const details of [exceeded, { limitName: "value-bytes", limit: 3 } as const]) {
    const failure = toFailure(new LimitExceededError("too many", details));
    t.true(isFailure(failure));
    t.deepEqual(failure.exceeded, details);
    t.deepEqual(toFailure(fromFailure(failure)), failure);
    const back = toLimitExceeded(failure);
    t.true(back instanceof LimitExceededError);
    t.like(back, { ...details, message: "too many", cause: { message: "too many" } });
    t.deepEqual(toFailure(back).exceeded, details);
  }
  for (const wrong of [7, { limitName: 7 }, { limitName: "a" }, { ...exceeded, actual: "4" }])
    t.false(isFailure({ name: "a", message: "b", exceeded: wrong }));
  const before = { name: "LimitExceededError", message: "large", code: "limit-exceeded" };
  t.like(toLimitExceeded(before), { limitName: "message-bytes", limit: 0, actual: undefined });
  t.is(toFailure(Object.assign(new Error("large"), before)).exceeded, undefined);
  t.is(toLimitExceeded({ ...before, code: "timeout" }), undefined);
});

test("a thrown value that is no error is told as what it is", (t) => {
  const shown: readonly (readonly [unknown, string])[] = [
    ...([
      [undefined, "undefined"],
      [null, "null"],
      [7, "7"],
      ["text", "text"],
    ] as const),
    ...([
      [{ a: 1 }, '{"a":1}'],
      [Symbol("s"), "Symbol(s)"],
      [10n, "10"],
      [[1, "a"], '[1,"a"]'],
    ] as const),
    [{ toJSON: () => undefined }, "undefined"],
  ];
  for (const [thrown, message] of shown) t.deepEqual(toFailure(thrown), { name: "Error", message });
});

test("causes are kept to a depth, also when they go in a circle", (t) => {
  const circle = new Error("circle");
  circle.cause = circle;
  let failure = toFailure(circle);
  let depth = 0;
  for (; failure.cause; depth++) failure = failure.cause;
  t.is(depth, 8);
});

test("whatever is thrown becomes a failure that can be stored", (t) => {
  const throwing = (): never => {
    throw new Error("no");
  };
  const circle: unknown[] = [];
  circle.push(circle);
  const odd: readonly unknown[] = [
    circle,
    Object.create(null),
    { toJSON: throwing },
    { toString: throwing, valueOf: throwing },
    Object.assign(new Error(), { name: Symbol("s"), message: { toString: throwing }, code: 7 }),
    Object.defineProperty(new Error(), "cause", { get: throwing }),
    Object.defineProperty(new Error(), "stack", { get: throwing }),
    new Proxy(new Error(), { get: throwing }),
    new Proxy({}, { getPrototypeOf: throwing }),
    new Proxy(() => 1, { get: throwing }),
    Object.setPrototypeOf({}, Error.prototype),
    { n: 1n },
  ];
  const check = (thrown: unknown): boolean => {
    const failure = toFailure(thrown);
    t.deepEqual(decode(encode(failure, "failure"), "here"), failure);
    t.true(fromFailure(failure) instanceof Error);
    return typeof failure.name === "string" && typeof failure.message === "string";
  };
  t.true(odd.every(check));
  fc.assert(fc.property(fc.anything({ withBoxedValues: true, withNullPrototype: true }), check));
});
