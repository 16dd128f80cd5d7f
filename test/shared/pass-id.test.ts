import test from "ava";
import { parsePassId, passId } from "../../shared/pass-id.ts";

test("the id of a pass says its worker and its pool", (t) => {
  for (const worker of ["host-1-a_b-c9", "host/with/slashes-1", "zürich-7-aaaaaa"])
    for (const pool of ["regular", "durable"] as const)
      for (const ordinal of [1, 36, 1_000_000])
        t.deepEqual(parsePassId(passId({ worker, pool }, ordinal)), { worker, pool });
});

test("the passes of one worker have different ids", (t) => {
  const ids = [1, 2, 35, 36, 37].flatMap((ordinal) =>
    (["regular", "durable"] as const).map((pool) => passId({ worker: "w", pool }, ordinal)),
  );
  t.is(new Set(ids).size, ids.length);
});

test("an id of another form says nothing", (t) => {
  for (const id of ["", "w", "w/", "w/x1", "w/d", "/d1", "w/d1/", "w/D1"])
    t.is(parsePassId(id), undefined, id);
});
