import test from "ava";
import { parseLease } from "../../shared/leases.ts";

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
