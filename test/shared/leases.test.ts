import test from "ava";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { decodeHeaders, encodeHeaders } from "../../shared/jetstream/headers.ts";
import { parseLease, readLeases } from "../../shared/leases.ts";
import { Names } from "../../shared/subjects.ts";

const lease = {
  worker: "w",
  host: "h",
  pid: 1,
  pool: "regular",
  capacity: 2,
  held: [{ task: "t", run: "r", since: "2030-01-01T00:00:00.000Z" }],
  at: "2030-01-01T00:00:00.000Z",
};
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

test("a lease record is read as its worker wrote it", (t) => {
  t.deepEqual(parseLease(bytes(lease)), lease as never);
});

test("what somebody else put into the bucket is no lease", (t) => {
  const wrong: unknown[] = [
    null,
    1,
    "x",
    [],
    {},
    ...Object.keys(lease).map((field) => ({ ...lease, [field]: null })),
    { ...lease, pool: "other" },
    { ...lease, held: [{}] },
    { ...lease, held: [null] },
    { ...lease, held: [{ task: "t", run: 5, since: "x" }] },
  ];
  for (const value of wrong) t.is(parseLease(bytes(value)), undefined, JSON.stringify(value));
  for (const text of ["", "{", "\u0000"]) t.is(parseLease(Buffer.from(text)), undefined);
  t.is(parseLease(Uint8Array.of(0xff, 0xfe)), undefined);
});

test("a record that a server has not taken away in its time is not shown, and one without a time is", async (t) => {
  const names = new Names("contrail", 1);
  const NOW = 100_000;
  const stored = (worker: string, timeMs: number, life?: string) => ({
    ...{ subject: `$KV.${names.slotsBucket("regular")}.${worker}`, sequence: 1, timeMs },
    headers: decodeHeaders(encodeHeaders(life === undefined ? [] : [["Nats-TTL", life]])),
    data: bytes({ ...lease, worker }),
  });
  const messages = [
    stored("alive", NOW - 900, "1s"),
    stored("just dead", NOW - 3_000, "1s"),
    stored("brought back", NOW - 7_000, "1s"),
    stored("for ever", NOW - 99_000),
  ];
  const reader = {
    readSubject: async (stream: string) => (stream.endsWith("regular") ? messages : []),
    streamState: async () => ({ answeredAtMs: NOW }),
  };
  const found = await readLeases({ reader } as unknown as NatsLink, names);
  t.deepEqual(
    found.map(({ worker }) => worker),
    ["alive", "for ever", "just dead"],
  );
});
