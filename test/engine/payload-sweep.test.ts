import test from "ava";
import { sweepPayloads } from "../../engine/payload-sweep.ts";
import { setupNamespace } from "../../engine/setup.ts";
import { clientOver } from "../../shared/client.ts";
import { purgeSubject } from "../../shared/jetstream/admin.ts";
import { PAYLOAD_INLINE_BYTES, PAYLOAD_ORPHAN_MS } from "../../shared/limits.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import type { PayloadReference } from "../../shared/payload-reference.ts";
import { Payloads } from "../../shared/payloads.ts";
import type { RunAddress } from "../../shared/subjects.ts";

const HOUR = PAYLOAD_ORPHAN_MS;
const large = "x".repeat(PAYLOAD_INLINE_BYTES);
const run = (runId: string): RunAddress => ({ taskName: "t a", runId });

/** A namespace in memory, with what a test does in it. */
async function open() {
  const world = new MemoryWorld({});
  const link = world.link("test");
  const { names } = await world.run(setupNamespace(link, { shards: 2 }));
  const payloads = new Payloads(link, { names, clock: link.clock });
  const client = clientOver(link, names, "test");
  const act = <T>(promise: Promise<T>): Promise<T> => world.run(promise);
  return {
    names,
    act,
    later: () => world.time.advance(HOUR + 1_000),
    start: (runId: string) => act(client.start("t a", large, { id: runId })),
    put: (runId: string, parent?: string) => {
      const owner = { run: run(runId), parent: parent === undefined ? undefined : run(parent) };
      return act(payloads.stow(large, owner, "value")) as Promise<PayloadReference>;
    },
    isThere: async (reference: unknown) => {
      const found = await act(
        payloads.fetch(reference).catch(({ code }: { code: string }) => code),
      );
      return found === large;
    },
    sweep: () => act(sweepPayloads({ link, names })),
    stored: () => world.server.streams.get(names.payloadsStream)?.store.count ?? 0,
    purge: async (runId: string) => {
      const { stream, prefix } = names.run(run(runId));
      const which = { stream, subject: `${prefix}.>`, before: 1_000 };
      await act(purgeSubject(link.requests, which));
    },
  };
}

test("the payloads of a run go when its log is gone, and an hour has passed", async (t) => {
  const { start, put, later, purge, sweep, isThere, stored } = await open();
  await start("1");
  const [kept, gone] = [await put("1"), await put("2")];
  t.is(await sweep(), 0);
  await later();
  t.is(await sweep(), 1);
  t.true(await isThere(kept));
  t.false(await isThere(gone));
  await purge("1");
  t.is(await sweep(), 2, "its input too");
  t.is(stored(), 0, "nothing is left in the stream");
});

test("what a child has returned stays as long as the log of its parent", async (t) => {
  const { start, put, later, purge, sweep, isThere } = await open();
  await start("parent");
  const output = await put("child", "parent");
  await later();
  t.is(await sweep(), 0);
  t.true(await isThere(output));
  await purge("parent");
  t.is(await sweep(), 2);
  t.false(await isThere(output));
});

test("the payloads of an earlier run of an id go, those of the present one stay", async (t) => {
  const { start, put, later, purge, sweep, isThere } = await open();
  await start("1");
  const before = await put("1");
  await purge("1");
  await later();
  await start("1");
  const now = await put("1");
  await later();
  t.is(await sweep(), 2);
  t.false(await isThere(before));
  t.true(await isThere(now));
});
