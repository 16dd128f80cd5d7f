/** What the compiler must make of a client's runs. Compiling this file is the test. */
import { expectTypeOf } from "expect-type";
import type { Client, RepairOptions, RunHandle } from "../../shared/index.ts";
import { task } from "../../shared/task.ts";

declare const client: Client;
declare const run: RunHandle<number>;
const pack = task({ name: "pack", run: (input: { sku: string }) => ({ id: input.sku }) });

// A reason to end a run stands by itself, or in options as that of a repair does.
type Why = string | RepairOptions | undefined;
expectTypeOf(run.cancel).parameter(0).toEqualTypeOf<Why>();
expectTypeOf(run.terminate).parameter(0).toEqualTypeOf<Why>();
await run.cancel();
await run.cancel("late");
await run.cancel({ reason: "late" });
await run.terminate({ reason: "late" });
await run.retry({ reason: "late", from: "charge" });
// @ts-expect-error a reason is a text
await run.cancel({ reason: 5 });
// @ts-expect-error there is no such option
await run.cancel({ because: "late" });

// A run is known by the output of its task.
expectTypeOf(client.start(pack, { sku: "a" })).resolves.toEqualTypeOf<RunHandle<{ id: string }>>();
expectTypeOf(run.fork()).resolves.toEqualTypeOf<RunHandle<number>>();
