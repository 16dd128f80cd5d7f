import test from "ava";
import { RunNotFoundError, UnavailableError } from "../../shared/errors.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { decodeHeaders } from "../../shared/jetstream/headers.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import { encodeStart } from "../../shared/messages.ts";
import { storedStart } from "../../shared/run-presence.ts";
import { readView } from "../../shared/run-view.ts";
import { Names } from "../../shared/subjects.ts";

const names = new Names("contrail", 1);
const run = { taskName: "t", runId: "r" };
const start: StoredMessage = {
  subject: `${names.run(run).prefix}.token.start`,
  sequence: 1,
  timeMs: 5,
  headers: decodeHeaders(new Uint8Array()),
  data: encodeStart({ input: 7, events: { after: 0, created: "" }, nonce: "n", by: "test" }),
};

interface Ignorance {
  /** How often the leader says that the run is not there. */
  readonly leader: number;
  /** How often the replica that is read says so. */
  readonly replica: number;
}

function linkWith({ leader, replica }: Ignorance, world: MemoryWorld): NatsLink {
  const { clock } = world.link("client");
  let [asked, read] = [0, 0];
  const reader = {
    lastFor: async () => (asked++ < leader ? undefined : start),
    readSubject: async () => (read++ < replica ? [] : [start]),
  };
  return { clock, reader } as unknown as NatsLink;
}

test("a run is not there only when the leader says so twice", async (t) => {
  for (const [leader, expected] of [
    [0, start],
    [1, start],
    [2, undefined],
  ] as const) {
    const world = new MemoryWorld();
    const link = linkWith({ leader, replica: 0 }, world);
    t.is(await world.run(storedStart(link, names, run)), expected);
  }
});

test("a run that a replica has not heard of yet is read again", async (t) => {
  for (const ignorance of [
    { leader: 0, replica: 0 },
    { leader: 0, replica: 3 },
    { leader: 1, replica: 3 },
  ]) {
    const world = new MemoryWorld();
    const view = await world.run(readView(linkWith(ignorance, world), names, run));
    t.like(view, { input: 7, startSequence: 1, state: { status: "queued" } });
  }
});

test("a run that nobody knows is not found, and one that a replica never hears of cannot be read", async (t) => {
  const world = new MemoryWorld();
  const nobody = linkWith({ leader: 99, replica: 99 }, world);
  await t.throwsAsync(world.run(readView(nobody, names, run)), { instanceOf: RunNotFoundError });
  const behind = linkWith({ leader: 0, replica: 99 }, world);
  await t.throwsAsync(world.run(readView(behind, names, run)), { instanceOf: UnavailableError });
});
