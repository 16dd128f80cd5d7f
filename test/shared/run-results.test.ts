import test from "ava";
import { encodeCommit } from "../../shared/entries.ts";
import { RunNotFoundError } from "../../shared/errors.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { asClientHeaders, decodeHeaders, encodeHeaders } from "../../shared/jetstream/headers.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import { waitForEnd } from "../../shared/run-results.ts";
import { HEADERS, Names, STATUS_HEADER } from "../../shared/subjects.ts";

const names = new Names("contrail", 1);
const run = { taskName: "t", runId: "r" };
const { prefix } = names.run(run);
const outcome = { status: "completed", output: 7 } as const;
const ended = encodeCommit(
  { startSequence: 1, pass: "w/r1", token: 1, time: 0, entries: [{ kind: "ended", outcome }] },
  "test",
);

function stored(kind: string, sequence: number, data: Uint8Array): StoredMessage {
  const headers = decodeHeaders(new Uint8Array());
  return { subject: `${prefix}.${kind}`, sequence, timeMs: 0, headers, data };
}

/** A link whose servers know nothing of the run for so long, and then its start and its end. */
function behind(world: MemoryWorld, forMs: number): NatsLink {
  const link = world.link("client");
  const all = [stored("token.start", 1, new Uint8Array()), stored("h", 2, ended)];
  const known = (): StoredMessage[] => (link.clock.monotonic() < forMs ? [] : all);
  const reader = {
    multiLast: async () => ({ messages: known() }),
    lastFor: async (_: string, subject: string) => known().find((one) => one.subject === subject),
  };
  const { nc, clock } = link;
  const onClose = link.onClose.bind(link);
  const onReconnect = link.onReconnect.bind(link);
  return { nc, clock, reader, onClose, onReconnect } as unknown as NatsLink;
}

test("a client that was told of its start hears of the end, although servers know nothing of it for a while", async (t) => {
  const world = new MemoryWorld();
  const link = behind(world, 15_000);
  t.deepEqual(await world.run(waitForEnd(link, names, run, { isStored: true })), outcome);
});

test("a client that knows of its start hears of the end by the live feed, although a reading says that it is gone", async (t) => {
  const world = new MemoryWorld();
  const link = behind(world, 3_600_000);
  const start = stored("token.start", 1, new Uint8Array());
  let readings = 0;
  const reader = {
    multiLast: async () => ({ messages: readings++ === 0 ? [start] : [] }),
    lastFor: async () => undefined,
  };
  const end = waitForEnd({ ...link, reader } as unknown as NatsLink, names, run, {
    isStored: true,
  });
  link.clock.after(3_000, () => {
    const headers = asClientHeaders(
      encodeHeaders([
        [STATUS_HEADER, "completed"],
        [HEADERS.sequence, "2"],
      ]),
    );
    link.nc.publish(names.liveSubject(run, "h"), ended, { headers });
  });
  t.deepEqual(await world.run(end), outcome);
  t.true(link.clock.monotonic() < 4_000);
});

test("a client that was told of its start learns after 20 s that it is gone", async (t) => {
  const world = new MemoryWorld();
  const link = behind(world, 3_600_000);
  const gone = waitForEnd(link, names, run, { isStored: true });
  await t.throwsAsync(world.run(gone), { instanceOf: RunNotFoundError });
  t.true(link.clock.monotonic() >= 20_000);
});

test("a client that asks for a run that nobody knows is told at once", async (t) => {
  const world = new MemoryWorld();
  const link = behind(world, 3_600_000);
  await t.throwsAsync(world.run(waitForEnd(link, names, run)), { instanceOf: RunNotFoundError });
  t.true(link.clock.monotonic() < 2_000);
});
