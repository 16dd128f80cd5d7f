/** What the readings mean, without a server. */
import test from "ava";
import { clockFinding } from "../../../engine/doctor/clock.ts";
import { engineIn } from "../../../engine/doctor/processes.ts";
import { bytesText } from "../../../engine/doctor/server.ts";
import {
  parseVarz,
  type SyncSetting,
  settingIn,
  syncFinding,
} from "../../../engine/doctor/sync.ts";

const always: SyncSetting = { server: "a", isAlways: true, intervalMs: 120_000 };
const later: SyncSetting = { server: "b", isAlways: false, intervalMs: 120_000 };

test("the meaning of the sync setting for a loss of power is told", (t) => {
  const at = (settings: readonly SyncSetting[], replicas = 1) =>
    syncFinding(settings, { replicas, unreachable: [] });
  t.like(at([always, always]), { verdict: "ok" });
  t.regex(at([always]).message, /a loss of power loses nothing that was acknowledged/);
  const single = at([later]);
  t.is(single.verdict, "note");
  t.regex(single.message, /within 2 min .* a loss of power of its machine can lose acknowledged/);
  t.regex(at([always, later], 3).message, /a loss of power of most of the 3 machines/);
});

test("a sync setting that cannot be seen is called unknown, with how to see it", (t) => {
  const unseen = syncFinding([], { replicas: 1, unreachable: [] });
  t.is(unseen.verdict, "unknown");
  t.regex(unseen.message, /cannot be seen from here.*--monitor .*--system-user/);
  const tried = syncFinding([], { replicas: 1, unreachable: ["http://h:8222"] });
  t.regex(tried.message, /No monitoring port answers at http:\/\/h:8222/);
});

test("only what a server says about JetStream is taken for a setting", (t) => {
  const config = { sync_interval: 120_000_000_000 };
  t.deepEqual(parseVarz({ server_name: "b", jetstream: { config } }), later);
  t.deepEqual(
    parseVarz({ server_name: "a", jetstream: { config: { ...config, sync_always: true } } }),
    always,
  );
  for (const other of [
    undefined,
    null,
    1,
    "x",
    [],
    {},
    { jetstream: {} },
    { jetstream: { config: {} } },
    { server_name: { toString: null }, jetstream: { config } },
  ])
    t.is(parseVarz(other), undefined);
});

test("answers that are none are passed over, whatever they are", (t) => {
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
  for (const text of ["", "null", "1", '"x"', "[]", "{", '{"data":null}', '{"metadata":null}']) {
    t.is(settingIn(utf8(text)), undefined, text);
    t.is(engineIn(utf8(text)), undefined, text);
  }
  t.is(engineIn(utf8('{"metadata":{"engine":"e1"}}')), "e1");
  t.is(engineIn(utf8('{"metadata":{"engine":{}}}')), undefined);
});

test("clocks agree within a second and what the question took", (t) => {
  for (const [before, after, at, verdict, message] of [
    [1_000, 1_010, 1_005, "ok", /agrees with the server's within 5 ms/],
    [1_000, 4_000, 1_000, "ok", /within 3 s/],
    [5_000, 5_010, 1_005, "note", /4 s ahead of the server's/],
    [1_000, 1_010, 61_005, "note", /1 min behind the server's/],
  ] as const) {
    const finding = clockFinding({ before, after, at });
    t.is(finding.verdict, verdict);
    t.regex(finding.message, message);
  }
});

test("bytes are shown in the unit that suits them", (t) => {
  t.deepEqual([0, 1_023, 1_024, 1_048_576, 5e9, 1e15].map(bytesText), [
    ...["0 bytes", "1023 bytes", "1 KiB", "1 MiB", "4.7 GiB", "909.5 TiB"],
  ]);
});
