/** Writes that arrive twice, at once or much later. */
import type { HeaderList } from "../../../shared/jetstream/headers.ts";
import { HEADERS } from "../../../shared/subjects.ts";
import { type DumpedMessage, readMessages } from "../dump.ts";
import type { Role } from "../fleet.ts";
import { disturb } from "../proxy.ts";
import type { World } from "../world.ts";
import type { FaultKind } from "./fault.ts";

/** Every n-th write of a process is sent twice, its guard with it. */
function repeat(role: Role, weight: number): FaultKind {
  return {
    family: "duplicate",
    kind: `repeat-writes-${role}`,
    weight,
    lastsMs: [3_000, 8_000],
    async inject(world, random) {
      const { name } = world.pick(random, role);
      const repeatEvery = random.whole(1, 4);
      const weather = { repeatEvery };
      const ways = world.topology.ways(name);
      const heal = await disturb(ways.map((way) => ({ way, direction: "up", weather })));
      return { target: name, detail: weather, heal };
    },
  };
}

const LAST_COUNT = 60;
const COPIES = 25;

/** Messages that are stored are published again as they are, with their guards. */
const replayLog: FaultKind = {
  family: "duplicate",
  kind: "replay-log",
  weight: 3,
  lastsMs: [0, 0],
  async inject(world, random) {
    const stream = world.names.logStream(random.whole(0, world.names.shardCount - 1));
    const recent = await lastMessages(world, stream);
    const copies = Array.from({ length: Math.min(COPIES, recent.length) }, () =>
      random.pick(recent),
    );
    const outcomes: Record<string, number> = {};
    for (const message of copies) {
      const kind = message.subject.split(".").at(-1) ?? "";
      const outcome = await publishAgain(world, message, message.headers.filter(isOwn));
      const key = `${kind} ${outcome}`;
      outcomes[key] = (outcomes[key] ?? 0) + 1;
    }
    return { target: stream, detail: outcomes, heal: async () => undefined };
  },
};

/** Tokens are published again without the guard that they had. */
const replayTokens: FaultKind = {
  family: "duplicate",
  kind: "replay-tokens",
  weight: 2,
  lastsMs: [0, 0],
  async inject(world, random) {
    const stream = world.names.logStream(random.whole(0, world.names.shardCount - 1));
    const recent = await lastMessages(world, stream);
    const tokens = recent.filter(({ subject }) => subject.endsWith(".token.ready"));
    for (const message of tokens) await publishAgain(world, message, []);
    return { target: stream, detail: { count: tokens.length }, heal: async () => undefined };
  },
};

const replayEvents: FaultKind = {
  family: "duplicate",
  kind: "replay-events",
  lastsMs: [0, 0],
  async inject(world, random) {
    const stream = world.names.eventsStream;
    const recent = await lastMessages(world, stream);
    const copies = recent.filter(() => random.chance(0.2));
    for (const message of copies) await publishAgain(world, message, message.headers);
    return {
      target: stream,
      detail: { sequences: copies.map((copy) => copy.sequence) },
      heal: async () => undefined,
    };
  },
};

/** What the server added is not what somebody published. */
function isOwn([name]: readonly [string, string], _: number, all: HeaderList): boolean {
  const isByScheduler = all.every(([other]) => other !== HEADERS.expectSequence);
  return !isByScheduler || (name !== HEADERS.scheduler && name !== HEADERS.scheduleNext);
}

async function lastMessages(world: World, stream: string): Promise<DumpedMessage[]> {
  const state = await world.link.reader.streamState(stream);
  const last = state?.lastSequence ?? 0;
  const found: DumpedMessage[] = [];
  for await (const message of readMessages(world.link, stream, last - LAST_COUNT, last))
    found.push(message);
  return found;
}

async function publishAgain(
  world: World,
  { subject, data }: DumpedMessage,
  headers: HeaderList,
): Promise<string> {
  const body = Buffer.from(data, "base64");
  const outcome = await world.link.publisher.publish(subject, body, headers);
  return outcome.ok ? "stored" : outcome.kind;
}

/** The faults of this family. */
export const duplicates: readonly FaultKind[] = [
  repeat("worker", 3),
  repeat("engine", 2),
  repeat("client", 1),
  replayLog,
  replayTokens,
  replayEvents,
];
