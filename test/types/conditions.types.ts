/** What the compiler must make of conditions and their results. Compiling this file is the test. */
import { expectTypeOf } from "expect-type";
import { z } from "zod";
import {
  allOf,
  anyOf,
  type ChildHandle,
  type ChildResult,
  type Condition,
  child,
  type DurableContext,
  type DurationInput,
  type EventResult,
  event,
  type SleepResult,
  sleep,
  sleepUntil,
  task,
} from "../../shared/task.ts";

declare const ctx: DurableContext;
const packItem = task({ name: "pack-item", run: (input: { sku: string }) => ({ id: input.sku }) });
const sweep = task({ name: "sweep", run: () => {} });
const Paid = z.object({ orderId: z.string(), cents: z.coerce.number() });

// One leaf.
expectTypeOf(ctx.waitFor(sleep("1h"))).resolves.toEqualTypeOf<SleepResult>();
expectTypeOf(ctx.waitFor(sleepUntil(new Date(0)))).resolves.toEqualTypeOf<SleepResult>();
expectTypeOf(ctx.waitFor(event("order.paid"))).resolves.toEqualTypeOf<
  EventResult<unknown, "order.paid">
>();
expectTypeOf(ctx.waitFor(event("order.*"))).resolves.toEqualTypeOf<EventResult<unknown, string>>();
expectTypeOf(ctx.waitFor(event("order.>"))).resolves.toEqualTypeOf<EventResult<unknown, string>>();
expectTypeOf(ctx.waitFor(event("order.paid", { schema: Paid }))).resolves.toEqualTypeOf<
  EventResult<{ orderId: string; cents: number }, "order.paid">
>();
expectTypeOf(ctx.waitFor(event<{ by: string }>("order.approved"))).resolves.toEqualTypeOf<
  EventResult<{ by: string }, string>
>();
expectTypeOf(ctx.waitFor(child(packItem, { sku: "a" }))).resolves.toEqualTypeOf<
  ChildResult<{ id: string }>
>();
expectTypeOf(ctx.waitFor(child(packItem, { sku: "a" }, { id: "p" }))).resolves.toEqualTypeOf<
  ChildResult<{ id: string }>
>();
expectTypeOf(ctx.waitFor(child(sweep))).resolves.toEqualTypeOf<ChildResult<void>>();
declare const handle: ChildHandle<{ id: string }>;
expectTypeOf(ctx.waitFor(child(handle))).resolves.toEqualTypeOf<ChildResult<{ id: string }>>();

// anyOf by position: `kind` and `index` narrow.
const first = await ctx.waitFor(
  anyOf(event("order.paid", { schema: Paid }), sleep("3 days"), child(packItem, { sku: "a" })),
);
expectTypeOf(first.kind).toEqualTypeOf<"event" | "sleep" | "child">();
expectTypeOf(first.index).toEqualTypeOf<0 | 1 | 2>();
if (first.kind === "event") {
  expectTypeOf(first.data).toEqualTypeOf<{ orderId: string; cents: number }>();
  expectTypeOf(first.index).toEqualTypeOf<0>();
}
if (first.index === 2) {
  expectTypeOf(first.output).toEqualTypeOf<{ id: string }>();
  expectTypeOf(first.kind).toEqualTypeOf<"child">();
}
// @ts-expect-error Only an event has data.
first.data;

// anyOf by name: `key` and `kind` narrow.
const named = await ctx.waitFor(
  anyOf({
    paid: event("order.paid", { schema: Paid }),
    canceled: event("order.canceled"),
    late: sleep("7 days"),
  }),
);
expectTypeOf(named.key).toEqualTypeOf<"paid" | "canceled" | "late">();
switch (named.key) {
  case "paid":
    expectTypeOf(named.data.cents).toEqualTypeOf<number>();
    break;
  case "canceled":
    expectTypeOf(named.name).toEqualTypeOf<"order.canceled">();
    expectTypeOf(named.data).toEqualTypeOf<unknown>();
    break;
  case "late":
    expectTypeOf(named.kind).toEqualTypeOf<"sleep">();
}
if (named.kind === "event") expectTypeOf(named.key).toEqualTypeOf<"paid" | "canceled">();

// A list of unknown length.
declare const orderIds: string[];
const oneOf = await ctx.waitFor(
  anyOf(...orderIds.map((orderId) => event("order.paid", { where: { orderId } }))),
);
expectTypeOf(oneOf.index).toEqualTypeOf<number>();
expectTypeOf(oneOf.sequence).toEqualTypeOf<number>();
expectTypeOf(
  ctx.waitFor(allOf(...orderIds.map((sku) => child(packItem, { sku })))),
).resolves.toEqualTypeOf<ChildResult<{ id: string }>[]>();

// allOf.
expectTypeOf(ctx.waitFor(allOf(event("a"), sleep("1h")))).resolves.toEqualTypeOf<
  [EventResult<unknown, "a">, SleepResult]
>();
expectTypeOf(
  ctx.waitFor(allOf({ paid: event("a"), packed: child(packItem, { sku: "a" }) })),
).resolves.toEqualTypeOf<{
  paid: EventResult<unknown, "a">;
  packed: ChildResult<{ id: string }>;
}>();

// Nested: a part that is itself a combination gives its result as `value`.
const nested = await ctx.waitFor(
  anyOf(
    allOf({ paid: event("paid"), packed: child(packItem, { sku: "a" }) }),
    anyOf(event("canceled"), event("refused")),
    sleep("7 days"),
  ),
);
expectTypeOf(nested.kind).toEqualTypeOf<"allOf" | "anyOf" | "sleep">();
if (nested.kind === "allOf") {
  expectTypeOf(nested.value.packed.output).toEqualTypeOf<{ id: string }>();
  expectTypeOf(nested.index).toEqualTypeOf<0>();
} else if (nested.kind === "anyOf") {
  expectTypeOf(nested.value.index).toEqualTypeOf<0 | 1>();
  expectTypeOf(nested.value.name).toEqualTypeOf<"canceled" | "refused">();
}
const [deep] = await ctx.waitFor(allOf(anyOf({ a: sleep("1s"), b: allOf(sleep("2s")) })));
if (deep.key === "b") expectTypeOf(deep.value).toEqualTypeOf<[SleepResult]>();

// Every condition is a Condition; nothing else is.
expectTypeOf(anyOf(allOf(sleep("1s")), event("a", { schema: Paid }))).toExtend<Condition>();
// @ts-expect-error A promise is no condition.
anyOf(ctx.sleepFor("1s"));
// @ts-expect-error Nor is one among named parts.
allOf({ a: sleep("1s"), b: Promise.resolve() });
// @ts-expect-error A wait needs a condition.
void ctx.waitFor("1s");
// @ts-expect-error The input is not the task's.
child(packItem, { sku: 1 });
// @ts-expect-error The input is missing.
child(packItem);
// @ts-expect-error Milliseconds have to be written out.
sleep(500);
// @ts-expect-error There is no other origin.
event("a", { from: "start" });
// @ts-expect-error A value that may be undefined is often a mistake.
event("a", { where: { orderId: undefined as string | undefined } });
// @ts-expect-error A filter holds plain data.
event("a", { where: { at: new Date() } });

// waitForEvent: null is possible only with a timeout.
expectTypeOf(ctx.waitForEvent("order.paid")).resolves.toEqualTypeOf<
  EventResult<unknown, "order.paid">
>();
expectTypeOf(
  ctx.waitForEvent("order.paid", { where: { total: { $gte: 100 } }, from: "now", schema: Paid }),
).resolves.toEqualTypeOf<EventResult<{ orderId: string; cents: number }, "order.paid">>();
expectTypeOf(ctx.waitForEvent("order.paid", { timeout: "1h" })).resolves.toEqualTypeOf<EventResult<
  unknown,
  "order.paid"
> | null>();
expectTypeOf(
  ctx.waitForEvent("order.*", { timeout: { days: 7 }, schema: Paid }),
).resolves.toEqualTypeOf<EventResult<{ orderId: string; cents: number }, string> | null>();
declare const maybe: DurationInput | undefined;
expectTypeOf(ctx.waitForEvent("a", { timeout: maybe })).resolves.toEqualTypeOf<EventResult<
  unknown,
  "a"
> | null>();
declare const options: { timeout?: DurationInput };
expectTypeOf(ctx.waitForEvent("a", options)).resolves.toEqualTypeOf<EventResult<
  unknown,
  "a"
> | null>();
// @ts-expect-error The result may be null.
(await ctx.waitForEvent("a", { timeout: "1h" })).data;
// @ts-expect-error A duration has a unit.
void ctx.waitForEvent("a", { timeout: 1000 });
