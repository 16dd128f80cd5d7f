/** What every history must look like, whatever happened to the processes that wrote it. */
import type { ExecutionContext } from "ava";
import type { RunView } from "../../../shared/index.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { until } from "../../helpers/until.ts";
import type { World } from "./world.ts";

/** Checks that a run ended once and that its passes did not mix. */
export function checkHistory(t: ExecutionContext, view: RunView): void {
  const entries = view.commits.flatMap(({ entries }) => entries);
  const count = (kind: string): number => entries.filter((entry) => entry.kind === kind).length;
  t.is(count("ended"), 1 + count("retried"), "the run ended once, and once more for each retry");
  t.is(entries.at(-1)?.kind, "ended", "nothing follows the end");
  const passes: string[] = [];
  for (const { pass } of view.commits) if (passes.at(-1) !== pass) passes.push(pass);
  t.deepEqual(passes, [...new Set(passes)], "no pass appended after another one had");
  const since = entries.slice(entries.findLastIndex(({ kind }) => kind === "retried") + 1);
  const done = since.flatMap((entry) => (entry.kind === "step-completed" ? [entry.key] : []));
  t.deepEqual(done, [...new Set(done)], "no step is recorded twice");
}

/** The names of the steps whose checkpoints are stored. */
export function checkpoints(view: RunView): string[] {
  return view.commits.flatMap(({ entries }) =>
    entries.flatMap((entry) =>
      entry.kind === "step-completed" ? [entry.key.slice(entry.key.indexOf(" ") + 1)] : [],
    ),
  );
}

/** How often a run was claimed, and for what reason. */
export function claims(view: RunView): string[] {
  return view.commits.flatMap(({ entries }) =>
    entries.flatMap((entry) => (entry.kind === "claimed" ? [entry.because] : [])),
  );
}

/**
 * Checks that nothing is left to do once every run has ended: no token is on its way or held, and no
 * timer is set.
 */
export async function checkQuiet(
  t: ExecutionContext,
  { link, setup }: Pick<World, "link" | "setup">,
): Promise<void> {
  const shards = Array.from({ length: setup.shardCount }, (_, shard) => shard);
  const leftovers = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const shard of shards) {
      const stream = setup.names.logStream(shard);
      const timers = await link.reader.readSubject(stream, setup.names.everyRun(shard, "timer"));
      for (const { subject } of timers) found.push(subject);
      const answer = await callApi(link.requests, `CONSUMER.LIST.${stream}`, undefined);
      for (const consumer of (answer["consumers"] ?? []) as ConsumerInfo[])
        if (consumer.config.durable_name !== undefined)
          for (const what of ["num_pending", "num_ack_pending"] as const)
            if (consumer[what] > 0) found.push(`${consumer.name} ${what} ${consumer[what]}`);
    }
    return found;
  };
  await until(async () => (await leftovers()).length === 0, { withinMs: 15_000 }).catch(() => {});
  t.deepEqual(await leftovers(), [], "tokens and timers that are left when all runs have ended");
}

interface ConsumerInfo {
  readonly name: string;
  readonly config: { readonly durable_name?: string };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}
