/** What the compiler must make of tasks and their contexts. Compiling this file is the test. */
import { expectTypeOf } from "expect-type";
import { z } from "zod";
import type { Temporal } from "../../shared/durations.ts";
import {
  type AnyTask,
  anyOf,
  type ChildHandle,
  type DurableContext,
  durableTask,
  event,
  type InputOf,
  isTask,
  type OutputOf,
  type RegularContext,
  sleep,
  type Task,
  task,
} from "../../shared/task.ts";

declare function reserve(orderId: string): Promise<{ paymentId: string }>;
declare const ctx: DurableContext;

// The example of the design, section 6, flows without a type argument.
const packItem = task({
  name: "pack-item",
  retries: { limit: 3, backoff: { initial: "1s", factor: 2, max: "1m" } },
  timeout: "30s",
  run: async (input: { sku: string }, ctx) => {
    expectTypeOf(ctx).toEqualTypeOf<RegularContext>();
    return { parcel: `P-${input.sku}` };
  },
});
expectTypeOf(packItem).toEqualTypeOf<Task<{ sku: string }, { parcel: string }, "regular">>();

const fulfil = durableTask({
  name: "fulfil-order",
  run: async (order: { id: string; skus: string[] }, ctx) => {
    expectTypeOf(ctx).toEqualTypeOf<DurableContext>();
    const payment = await ctx.step("reserve payment", () => reserve(order.id));
    expectTypeOf(payment).toEqualTypeOf<{ paymentId: string }>();
    const approval = await ctx.waitForEvent("order.approved", {
      where: { orderId: order.id },
      timeout: "7 days",
    });
    if (!approval) return { status: "expired" as const };
    const parcels = await Promise.all(order.skus.map((sku) => ctx.run(packItem, { sku })));
    expectTypeOf(parcels).toEqualTypeOf<{ parcel: string }[]>();
    await ctx.sleepFor({ hours: 24 });
    const first = await ctx.waitFor(
      anyOf(event("order.delivered", { where: { orderId: order.id } }), sleep("3 days")),
    );
    return { status: "done" as const, parcels, first: first.kind };
  },
});
expectTypeOf<InputOf<typeof fulfil>>().toEqualTypeOf<{ id: string; skus: string[] }>();
expectTypeOf<(typeof fulfil)["kind"]>().toEqualTypeOf<"durable">();
declare const fulfilled: OutputOf<typeof fulfil>;
if (fulfilled.status === "done") {
  expectTypeOf(fulfilled.first).toEqualTypeOf<"event" | "sleep">();
  expectTypeOf(fulfilled.parcels).toEqualTypeOf<{ parcel: string }[]>();
}

// A schema is the source of the type: callers give what it accepts, run gets what it makes of it.
const charge = task({
  name: "charge",
  input: z.object({ cents: z.string().transform(Number), currency: z.string().default("EUR") }),
  run: (input, ctx) => {
    expectTypeOf(input).toEqualTypeOf<{ cents: number; currency: string }>();
    expectTypeOf(ctx.attempt).toEqualTypeOf<number>();
    return input.cents;
  },
});
expectTypeOf<InputOf<typeof charge>>().toEqualTypeOf<{
  cents: string;
  currency?: string | undefined;
}>();
expectTypeOf<OutputOf<typeof charge>>().toEqualTypeOf<number>();
expectTypeOf(ctx.run(charge, { cents: "100" })).resolves.toEqualTypeOf<number>();
// @ts-expect-error The schema accepts a text.
void ctx.run(charge, { cents: 100 });
const remindAt = durableTask({
  name: "remind-at",
  input: z.object({ at: z.iso.datetime() }),
  run: async (input, ctx) => {
    expectTypeOf(input).toEqualTypeOf<{ at: string }>();
    await ctx.sleepUntil(input.at);
  },
});
expectTypeOf<OutputOf<typeof remindAt>>().toEqualTypeOf<void>();
task({
  name: "wrong-parameter",
  // @ts-expect-error The schema does not make what the function takes.
  input: z.object({ a: z.string() }),
  run: (input: { a: number }) => input,
});

// Inputs may be absent, and outputs may be nothing, now or later.
const sweep = task({ name: "sweep", run: () => {} });
expectTypeOf<OutputOf<typeof sweep>>().toEqualTypeOf<void>();
expectTypeOf(ctx.run(sweep)).resolves.toEqualTypeOf<void>();
expectTypeOf(ctx.run(sweep, undefined, { id: "nightly" })).resolves.toEqualTypeOf<void>();
const optional = task({ name: "optional", run: async (input?: { limit: number }) => input?.limit });
expectTypeOf(ctx.run(optional)).resolves.toEqualTypeOf<number | undefined>();
expectTypeOf(ctx.run(optional, { limit: 1 })).resolves.toEqualTypeOf<number | undefined>();

// One input, or a list of them for many children.
expectTypeOf(ctx.run(packItem, { sku: "a" })).resolves.toEqualTypeOf<{ parcel: string }>();
expectTypeOf(ctx.run(packItem, { sku: "a" }, { id: "p" })).resolves.toEqualTypeOf<{
  parcel: string;
}>();
expectTypeOf(ctx.run(packItem, [{ sku: "a" }, { sku: "b" }])).resolves.toEqualTypeOf<
  { parcel: string }[]
>();
expectTypeOf(ctx.start(packItem, { sku: "a" })).resolves.toEqualTypeOf<
  ChildHandle<{ parcel: string }>
>();
expectTypeOf(ctx.start(packItem, [{ sku: "a" }])).resolves.toEqualTypeOf<
  ChildHandle<{ parcel: string }>[]
>();
expectTypeOf<ReturnType<ChildHandle<number>["result"]>>().resolves.toEqualTypeOf<number>();
// @ts-expect-error An input is missing.
void ctx.run(packItem);
// @ts-expect-error A field is wrong.
void ctx.run(packItem, { sku: 1 });
// @ts-expect-error A field of one of many is wrong.
void ctx.run(packItem, [{ sku: "a" }, { sku: 1 }]);
// @ts-expect-error Many children have no one id.
void ctx.run(packItem, [{ sku: "a" }], { id: "p" });
// @ts-expect-error There is no such option.
void ctx.run(packItem, { sku: "a" }, { key: "p" });

// A task whose input is a list is given a list of lists.
const sum = task({ name: "sum", run: (input: number[]) => input.reduce((a, b) => a + b, 0) });
expectTypeOf(ctx.run(sum, [[1, 2], [3]])).resolves.toEqualTypeOf<number[]>();
expectTypeOf(ctx.start(sum, [[1, 2]])).resolves.toEqualTypeOf<ChildHandle<number>[]>();
// @ts-expect-error This list would mean two children with a number each.
void ctx.run(sum, [1, 2]);
// @ts-expect-error The same.
void ctx.start(sum, [1, 2]);

// Steps.
expectTypeOf(ctx.step("a", () => 1)).resolves.toEqualTypeOf<number>();
expectTypeOf(ctx.step("a", async () => "text" as const)).resolves.toEqualTypeOf<"text">();
expectTypeOf(ctx.step("a", () => {})).resolves.toEqualTypeOf<void>();
expectTypeOf(
  ctx.step(
    "a",
    async ({ attempt, signal, fencingToken, idempotencyKey }) => {
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(fencingToken).toEqualTypeOf<string>();
      expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
      return [attempt];
    },
    { retries: { limit: 5, retryIf: (error) => error instanceof TypeError }, timeout: "10s" },
  ),
).resolves.toEqualTypeOf<number[]>();
// @ts-expect-error A step has a name.
void ctx.step(() => 1);
// @ts-expect-error A duration has a unit.
void ctx.step("a", () => 1, { timeout: 500 });

// Only durable tasks wait.
task({
  name: "regular",
  run: async (_input: null, ctx) => {
    // @ts-expect-error A regular task has no steps.
    await ctx.step("a", () => 1);
    // @ts-expect-error It does not sleep durably.
    await ctx.sleepFor("1h");
  },
});

// Wrong definitions.
// @ts-expect-error A task has a name.
task({ run: () => 1 });
// @ts-expect-error A task has a function.
task({ name: "a" });
// @ts-expect-error There is no such option.
task({ name: "a", run: () => 1, retry: 3 });
// @ts-expect-error Milliseconds have to be written out.
task({ name: "a", timeout: 500, run: () => 1 });
// @ts-expect-error A durable task has no time limit of one attempt.
durableTask({ name: "a", timeout: "1h", run: () => 1 });
// @ts-expect-error A schema is no type.
task({ name: "a", input: { sku: "string" }, run: () => 1 });

// What a run can depend on and is the same in every replay.
expectTypeOf(ctx.now()).toEqualTypeOf<Temporal.Instant>();
expectTypeOf(ctx.random()).toEqualTypeOf<number>();
expectTypeOf(ctx.uuid()).toEqualTypeOf<string>();
void ctx.sleepFor("90s");
void ctx.sleepUntil(ctx.now().add({ hours: 1 }));
void ctx.sleepUntil(ctx.now().toZonedDateTimeISO("Europe/Berlin").add({ months: 1 }));
// @ts-expect-error Months have no length.
void ctx.sleepFor({ months: 1 });

// Any task fits where any task is wanted, and what is not a task does not.
const all: readonly AnyTask[] = [packItem, fulfil, charge, remindAt, sweep, optional, sum];
expectTypeOf(all[0]).toEqualTypeOf<AnyTask | undefined>();
const regular: Task<{ sku: string; gift: boolean }, object> = packItem; // asks less, gives more
expectTypeOf(regular.name).toEqualTypeOf<string>();
// @ts-expect-error This one asks for a field that callers need not give.
const needy: Task<object> = packItem;
expectTypeOf(needy.kind).toEqualTypeOf<"regular" | "durable">();
const unknownValue: unknown = packItem;
if (isTask(unknownValue)) expectTypeOf(unknownValue).toEqualTypeOf<AnyTask>();
