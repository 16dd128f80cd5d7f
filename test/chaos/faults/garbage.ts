/** Messages that Contrail never writes, on subjects that it reads. */
import { GARBAGE } from "../../helpers/forgery.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import type { FaultKind, Injected } from "./fault.ts";

const bodies = Object.values(GARBAGE);
const TASKS = ["chaos-job", "chaos-plan"] as const;

/** On subjects of a run that nobody has started. */
const ofNobody: FaultKind = {
  family: "garbage",
  kind: "garbage-of-nobody",
  lastsMs: [0, 0],
  async inject(world, random) {
    const address = { taskName: random.pick(TASKS), runId: `garbage-${random.whole(0, 1e9)}` };
    const kind = random.pick(["token.start", "token.ready", "wait", "timer", "cancel", "h", "c"]);
    world.excused.add(address.runId);
    return put(world, random, `${world.names.run(address).prefix}.${kind}`);
  },
};

/** On subjects of a run that is under way. */
const ofSomebody: FaultKind = {
  family: "garbage",
  kind: "garbage-of-a-run",
  lastsMs: [0, 0],
  async inject(world, random) {
    const stream = world.names.logStream(random.whole(0, world.names.shardCount - 1));
    const state = await world.link.reader.streamState(stream);
    const sequence = Math.max(1, (state?.lastSequence ?? 0) - random.whole(0, 40));
    const found = await world.link.reader.get(stream, sequence, { leader: true });
    const prefix = found?.subject.slice(0, found.subject.lastIndexOf("."));
    if (prefix === undefined) return undefined;
    return put(world, random, `${prefix}.${random.pick(["token.ready", "wait"])}`);
  },
};

async function put(world: World, random: Random, subject: string): Promise<Injected | undefined> {
  const outcome = await world.link.publisher.publish(subject, random.pick(bodies));
  if (!outcome.ok) return undefined;
  const detail = { sequence: outcome.sequence };
  return { target: subject, detail, heal: async () => undefined };
}

/** The faults of this family. */
export const garbage: readonly FaultKind[] = [ofNobody, ofSomebody];
