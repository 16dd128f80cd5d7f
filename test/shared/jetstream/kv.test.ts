import test, { type ExecutionContext } from "ava";
import { InvalidInputError } from "../../../shared/errors.ts";
import { ensureBucket } from "../../../shared/jetstream/admin.ts";
import { KvBucket, type KvEntry } from "../../../shared/jetstream/kv.ts";
import { forEachTopology, stopTopologies } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, openLink, text } from "./fixtures.ts";

test.after.always(stopTopologies);

let bucketCount = 0;

forEachTopology((title, topology) => {
  const open = async (t: ExecutionContext) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const bucket = `leases_${bucketCount++}`;
    const { replicas } = servers;
    await ensureBucket(link.requests, { bucket, replicas, deleteMarkerMs: 1_000 });
    return { link, kv: new KvBucket(link, bucket), url: servers.urls[0] as string };
  };
  const read = (kv: KvBucket, key: string) => kv.get(key, { leader: true });

  test(`${title}: a value is written, read, replaced and deleted`, async (t) => {
    const { kv } = await open(t);
    t.is(await read(kv, "a.b"), undefined);
    t.like(await kv.put("a.b", bytes("1")), { ok: true, sequence: 1, uncertain: false });
    t.like(await kv.put("a.b", bytes("2")), { ok: true, sequence: 2 });
    const entry = await read(kv, "a.b");
    t.like(entry, { key: "a.b", revision: 2, operation: "put" });
    t.is(text(entry?.data), "2");
    t.true((await kv.delete("a.b")).ok);
    t.is(await read(kv, "a.b"), undefined);
    t.is((await kv.entry("a.b", { leader: true }))?.operation, "delete");
  });

  test(`${title}: of many writers that expect the same revision one wins`, async (t) => {
    const { kv } = await open(t);
    for (let revision = 0, round = 0; round < 5; round++) {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) => kv.put("lead", bytes(`${i}`), { expect: revision })),
      );
      const winners = outcomes.filter(({ ok }) => ok);
      t.is(winners.length, 1);
      revision = winners[0]?.ok ? winners[0].sequence : Number.NaN;
    }
    t.like(await kv.delete("lead", { expect: 1 }), { kind: "guard", uncertain: false });
    t.not(await read(kv, "lead"), undefined);
  });

  test(`${title}: a value with a time to live disappears, unless it is written again in time`, async (t) => {
    const { kv } = await open(t);
    const timeToLiveMs = 2_000;
    const seen: [string, string][] = [];
    const watch = kv.watch(({ key, operation }) => void seen.push([key, operation]));
    t.teardown(() => watch.close());
    await kv.put("abandoned", bytes(""), { timeToLiveMs });
    let renewed = await kv.put("renewed", bytes(""), { timeToLiveMs });
    await kv.put("kept", bytes(""));
    for (let i = 0; i < 4; i++) {
      const writtenAt = (await read(kv, "renewed"))?.timeMs ?? 0;
      await until(() => Date.now() - writtenAt > 600);
      // Renewed with a compare-and-set: the client's own `update` would make it live for ever.
      const expect = renewed.ok ? renewed.sequence : Number.NaN;
      renewed = await kv.put("renewed", bytes(`${i}`), { expect, timeToLiveMs });
      t.true(renewed.ok);
    }
    await until(async () => (await read(kv, "abandoned")) === undefined);
    t.is(text((await read(kv, "renewed"))?.data), "3");
    await until(async () => (await read(kv, "renewed")) === undefined);
    t.not(await read(kv, "kept"), undefined);
    await until(() => seen.some(([key, operation]) => key === "renewed" && operation === "delete"));
  });

  test(`${title}: all values are listed, by key or pattern, without the deleted ones`, async (t) => {
    const { kv } = await open(t);
    for (const key of ["a.1", "a.2", "b.1", "b.2"]) await kv.put(key, bytes(key));
    await kv.delete("a.2");
    await kv.put("b.2", bytes("new"));
    const sorted = async (filter?: string) => (await kv.keys(filter)).sort();
    await until(
      async () => (await sorted()).length === 3 && (await kv.entries("b.2")).length === 1,
    );
    t.deepEqual(await sorted(), ["a.1", "b.1", "b.2"]);
    t.deepEqual(await sorted("a.*"), ["a.1"]);
    const values = await until(async () => {
      const entries = await kv.entries("b.*");
      return entries.some(({ data }) => text(data) === "new") && entries;
    });
    t.deepEqual(values.map(({ data }) => text(data)).sort(), ["b.1", "new"]);
    t.deepEqual(await kv.keys("c"), []);
  });

  test(`${title}: a watcher sees what is there, and then every change`, async (t) => {
    const { kv } = await open(t);
    for (const [key, value] of ["a1", "b1", "a2"])
      await kv.put(key as string, bytes(value as string));
    const seen: string[] = [];
    const show = ({ key, operation, data }: KvEntry) => `${key} ${operation} ${text(data)}`;
    const watch = kv.watch((entry) => void seen.push(show(entry)));
    t.teardown(() => watch.close());
    await watch.caughtUp;
    t.deepEqual(seen, ["b put 1", "a put 2"]);
    await kv.put("c", bytes("1"));
    await kv.delete("a");
    await until(() => seen.length === 4);
    t.deepEqual(seen.slice(2), ["c put 1", "a delete "]);
  });

  test(`${title}: a key that cannot be one is refused`, async (t) => {
    const { kv } = await open(t);
    for (const key of ["", ".a", "a.", "a..b", "a b", "*", "a.>", "é"])
      await t.throwsAsync(kv.put(key, bytes("")), { instanceOf: InvalidInputError }, key);
    await t.throwsAsync(kv.delete("*"), { instanceOf: InvalidInputError });
  });
});
