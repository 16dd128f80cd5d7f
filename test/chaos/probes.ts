/** Runs that the runner itself starts: past all proxies, so that nothing but what is asked is in their way. */
import { encodeStart } from "../../shared/messages.ts";
import type { Job, Plan } from "./plans.ts";
import type { World } from "./world.ts";

/** A run to start. */
export interface Probe {
  readonly taskName: "chaos-job" | "chaos-plan";
  readonly input: Job | Plan;
  /** Where it has to be stored. Default: anywhere. */
  readonly shard?: number;
}

/** How one try to start a run came out. */
export type ProbeOutcome = Awaited<ReturnType<World["link"]["publisher"]["guardedPublish"]>>;

let count = 0;

/** Names a run that nobody has started. */
export function probeId({ names }: World, { taskName, shard }: Omit<Probe, "input">): string {
  const free = (): string => `probe-${process.pid}-${count++}`;
  let runId = free();
  while (shard !== undefined && names.run({ taskName, runId }).shard !== shard) runId = free();
  return runId;
}

/** Asks once for the start of a run under an id. Events that were published before it are not its own. */
export function startProbe(
  { names, link }: World,
  runId: string,
  { taskName, input }: Probe,
): Promise<ProbeOutcome> {
  const body = encodeStart({
    ...{ input, events: { after: 0, created: "" }, nonce: runId, by: "chaos runner" },
  });
  const subject = `${names.run({ taskName, runId }).prefix}.token.start`;
  return link.publisher.guardedPublish(subject, body, { expect: 0 });
}
