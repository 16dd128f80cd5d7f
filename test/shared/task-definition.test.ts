import test from "ava";
import { z } from "zod";
import { describe } from "../../shared/describe.ts";
import { InvalidInputError } from "../../shared/errors.ts";
import { DEFAULT_RETRIES } from "../../shared/retry.ts";
import { durableTask, isTask, task } from "../../shared/task.ts";
import { definitionOf, queueLimitOf, type TaskOptions } from "../../shared/task-definition.ts";

const run = (): number => 1;
const revoked = Proxy.revocable({}, {});
revoked.revoke();

test("a regular task has a name and a kind, and its definition what a worker needs", (t) => {
  const input = z.object({ sku: z.string() });
  const packItem = task({
    name: "pack-item",
    input,
    retries: { limit: 5, backoff: { initial: "2s" } },
    timeout: "30s",
    run,
  });
  t.deepEqual({ ...packItem }, { name: "pack-item", kind: "regular" });
  t.deepEqual(definitionOf(packItem), {
    name: "pack-item",
    kind: "regular",
    run,
    schema: input,
    retries: { ...DEFAULT_RETRIES, limit: 5, initialMs: 2_000 },
    timeoutMs: 30_000,
    heartbeatTimeoutMs: undefined,
    runTimeoutMs: undefined,
    queueTimeoutMs: undefined,
    cleanupTimeoutMs: 30_000,
    version: undefined,
    compatibleWith: [],
  });
});

test("a durable task has defaults for its steps and no time limit", (t) => {
  const fulfil = durableTask({ name: "fulfil", retries: 1, run });
  t.deepEqual(definitionOf(fulfil), {
    name: "fulfil",
    kind: "durable",
    run,
    schema: undefined,
    retries: { ...DEFAULT_RETRIES, limit: 1 },
    timeoutMs: undefined,
    heartbeatTimeoutMs: undefined,
    runTimeoutMs: undefined,
    queueTimeoutMs: undefined,
    cleanupTimeoutMs: 30_000,
    version: undefined,
    compatibleWith: [],
  });
});

test("a task of either kind may limit the time of its runs and of their cleanup", (t) => {
  for (const make of [task, durableTask]) {
    const limited = make({ name: "a", runTimeout: "1h", cleanupTimeout: "5s", run });
    t.like(definitionOf(limited), { runTimeoutMs: 3_600_000, cleanupTimeoutMs: 5_000 });
    for (const field of ["runTimeout", "queueTimeout", "cleanupTimeout"] as const)
      t.throws(() => make({ name: "a", run, [field]: "soon" }), {
        instanceOf: InvalidInputError,
        message: new RegExp(`${field} of .*task "a".*"soon"`),
      });
  }
});

test("a run waits in the queue as long as its starter, its task and its whole time allow", (t) => {
  const limitOf = (options: { runTimeout?: string; queueTimeout?: string }, asked?: number) =>
    queueLimitOf(definitionOf(task({ name: "a", run, ...options })), asked);
  t.is(queueLimitOf(undefined), undefined);
  t.is(queueLimitOf(undefined, 5), 5);
  t.is(limitOf({}), undefined);
  t.is(limitOf({ runTimeout: "2s" }), 2_000);
  t.is(limitOf({ queueTimeout: "1s" }), 1_000);
  t.is(limitOf({ queueTimeout: "1s" }, 7), 7);
  t.is(limitOf({ queueTimeout: "1h", runTimeout: "2s" }), 2_000);
  t.is(limitOf({ runTimeout: "2s" }, 7), 7);
});

test("a task cannot be changed, nor what defines it", (t) => {
  const frozen = task({ name: "a", run });
  t.true(Object.isFrozen(frozen));
  t.true(Object.isFrozen(definitionOf(frozen)));
  t.true(Object.isFrozen(definitionOf(frozen).retries));
});

test("a task is known by its mark in every copy of the package, and nothing else is one", async (t) => {
  t.true(isTask(task({ name: "a", run })));
  t.true(isTask(durableTask({ name: "a", run })));
  const copies = ["../../shared/task-definition.js?copy", "../../shared/task-reference.js?copy"];
  const [definition, reference] = await Promise.all(copies.map((path) => import(path)));
  t.not(definition.task, task);
  t.is(definitionOf(definition.task({ name: "b", run })).run, run);
  t.not(reference.isTask, isTask);
  t.true(reference.isTask(task({ name: "a", run })));
  for (const value of [null, undefined, run, {}, { name: "a", kind: "regular" }, revoked.proxy]) {
    t.false(isTask(value));
    t.throws(() => definitionOf(value as never), {
      instanceOf: InvalidInputError,
      message: /Expected a task made by task\(\) or durableTask\(\), got /,
    });
  }
});

for (const name of ["a", "Größe 🙂", "a.b *>", "é".repeat(64)])
  test(`${describe(name)} is a name of a task`, (t) => t.is(task({ name, run }).name, name));

const refused: readonly [options: unknown, message: RegExp][] = [
  [undefined, /The argument of task\(\) is undefined\. Expected an object with name, input, /],
  [null, /The argument of task\(\) is null/],
  ["a", /The argument of task\(\) is "a"/],
  [revoked.proxy, /The argument of task\(\) is an object that cannot be read/],
  [{ run }, /The task name is of type undefined/],
  [{ name: "", run }, /The task name "" is empty/],
  [{ name: "é".repeat(65), run }, /has 130 bytes\. Expected a text of 1 to 128 bytes/],
  [{ name: "a\nb", run }, /The task "a\\nb" has a control character in its name/],
  [{ name: "a\u0085", run }, /has a control character/],
  [{ name: "\ud800", run }, /has half of a surrogate pair/],
  [{ name: "a" }, /The task "a" has undefined as run\. Expected its function/],
  [{ name: "a", run: "x" }, /has "x" as run/],
  [
    { name: "a", run, retry: 3 },
    /The argument of task\(\) has an unknown option "retry"\. Expected name, input, /,
  ],
  [{ name: "a", run, input: {} }, /has \{\} as input\. Expected a Standard Schema/],
  [{ name: "a", run, retries: -1 }, /The limit of the retries of task "a" is -1/],
  [{ name: "a", run, timeout: 5 }, /The timeout of task "a" is 5, which has no unit/],
  [{ name: "a", run, timeout: "0s" }, /The timeout of task "a" is "0s"\. Expected more than zero/],
];

for (const [options, message] of refused)
  test(`a task of ${describe(options)} is refused with ${message}`, (t) => {
    t.throws(() => task(options as TaskOptions<unknown, unknown>), {
      instanceOf: InvalidInputError,
      message,
    });
  });

test("a durable task takes no time limit and says what it takes", (t) => {
  t.throws(() => durableTask({ name: "a", run, timeout: "1h" } as never), {
    instanceOf: InvalidInputError,
    message: /durableTask\(\) has an unknown option "timeout"\. Expected name, input, retries, run/,
  });
});

test("a task may have a version, and others that it is compatible with", (t) => {
  for (const make of [task, durableTask]) {
    t.like(definitionOf(make({ name: "a", version: 2, run })), { version: "2" });
    const compatible = make({ name: "a", version: "2", compatibleWith: [1, "1.5", ""], run });
    t.like(definitionOf(compatible), { version: "2", compatibleWith: ["1", "1.5", ""] });
    const isOld = (version: string): boolean => version < "2";
    t.is(
      definitionOf(make({ name: "a", version: 2, compatibleWith: isOld, run })).compatibleWith,
      isOld,
    );
  }
});

test("a version that cannot be used is refused, and named", (t) => {
  for (const version of ["", "a\nb", "ä", "x".repeat(129), Number.NaN, null, {}, true])
    for (const options of [{ version }, { version: 1, compatibleWith: [version] }]) {
      if (version === "" && "compatibleWith" in options) continue;
      t.throws(() => task({ name: "a", run, ...(options as { version: string }) }), {
        instanceOf: InvalidInputError,
        message: /^The (version|compatibleWith) of task "a" is .*Expected a number, or a text/,
      });
    }
  t.throws(() => task({ name: "a", run, version: 1, compatibleWith: "0" as never }), {
    message: /^The task "a" has "0" as compatibleWith\. Expected a list of versions/,
  });
  t.throws(() => task({ name: "a", run, compatibleWith: ["0"] }), {
    message: /^The task "a" has compatibleWith and no version\./,
  });
});
