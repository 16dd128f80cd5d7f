import test from "ava";
import { EndListener } from "../../shared/end-listener.ts";
import { encodeCommit } from "../../shared/entries.ts";
import { EXPECTED_ENDS } from "../../shared/limits.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import { Names } from "../../shared/subjects.ts";

const names = new Names("contrail", 1);
const outcome = { status: "completed", output: 7 } as const;
const body = encodeCommit(
  { startSequence: 1, pass: "w/r1", token: 1, time: 0, entries: [{ kind: "ended", outcome }] },
  "test",
);

test("a client is told once of the end of a run, and forgets it then", async (t) => {
  const world = new MemoryWorld();
  const link = world.link("client");
  const ends = new EndListener(link, names);
  const { nonce, end } = ends.expect();
  const { forget } = ends.expect();
  t.is(ends.size, 2);
  link.publisher.tell(names.endSubject(nonce), body);
  t.deepEqual(await world.run(end), outcome);
  t.is(ends.size, 1);
  forget();
  t.is(ends.size, 0);
});

test("a client that is never told remembers no more runs than its limit, the latest", async (t) => {
  const world = new MemoryWorld();
  const link = world.link("client");
  const ends = new EndListener(link, names);
  for (let i = 0; i < EXPECTED_ENDS + 10; i++) ends.expect();
  const latest = ends.expect();
  t.is(ends.size, EXPECTED_ENDS);
  link.publisher.tell(names.endSubject(latest.nonce), body);
  t.deepEqual(await world.run(latest.end), outcome);
});
