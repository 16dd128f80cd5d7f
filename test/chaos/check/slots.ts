/** Who holds slots: P4, and the law of what is granted and given back. */
import type { Effect } from "./directory.ts";
import { groupBy, type Judge } from "./judge.ts";

/** A worker may not know yet that its commit is stored: an answer is waited for so long. */
const ANSWER_MS = 3_000;

/** P4 by what steps did, and by what the buckets said; with it what was granted and given back. */
export function judgeSlots(judge: Judge): void {
  const { leases, lives, summary } = judge.evidence;
  for (const [process, effects] of groupBy(judge.evidence.effects, (effect) => effect.process)) {
    const slots =
      lives.find((l) => l.process === process && l.slots)?.slots ?? summary.settings.slots;
    for (const pool of ["regular", "durable"] as const) {
      const mine = effects.filter(({ token }) => (token === undefined) === (pool === "regular"));
      const most = mostAtOnce(judge, mine);
      judge.saw("P4", mine.length);
      if (slots?.[pool] !== undefined && most > slots[pool])
        judge.violate(
          "P4",
          `${process} executed ${most} runs at once in ${slots[pool]} ${pool} slots`,
        );
    }
  }
  const processes = new Map([...judge.workers].map(([process, worker]) => [worker, process]));
  const seen = new Map<string, number>();
  const late = summary.settings.claimTimeoutMs + ANSWER_MS;
  for (const { at, value } of leases) {
    if (!value) continue;
    const { worker, held, capacity } = value;
    if (held.length > capacity)
      judge.violate("P4", `${worker} showed ${held.length} runs in ${capacity} slots`);
    for (const { task, run: runId, since } of held) {
      const grant = `${worker} ${task} ${runId} ${since}`;
      const firstAt = seen.get(grant) ?? at;
      seen.set(grant, firstAt);
      const run = judge.world.runs.get(`${task}/${runId}`);
      const rest = run?.commits.findLast(({ timeMs }) => timeMs < at - late);
      const kind = rest?.entries.at(-1)?.kind;
      const isRest = kind === "waiting" || kind === "ended" || kind === "paused";
      if (!rest || !isRest || rest.worker !== worker || firstAt >= rest.timeMs) continue;
      const process = processes.get(worker) ?? "";
      const knownAt = judge.undisturbedAt(process, rest.timeMs, at);
      if (at > knownAt + late && at > knownAt + late + judge.slowMs(rest.timeMs, at))
        judge.violate(
          "P4",
          `held its slot ${Math.round(at - rest.timeMs)} ms after it gave up`,
          run,
        );
    }
  }
  judge.needs(
    "P4",
    leases.some(({ value }) => value),
    "lease records",
  );
  judge.saw("granted", seen.size);
  judge.needs("granted", judge.evidence.slots !== undefined, "who holds slots at the end");
  for (const { worker } of judge.evidence.slots ?? [])
    judge.violate("granted", `slots are held by ${worker}, and no worker is alive`);
  const last = new Map(
    leases.filter((l) => l.at < judge.closedAt).map((l) => [l.bucket + l.key, l]),
  );
  const living = new Set(
    lives.flatMap(({ name, edge, process }) =>
      name && edge === "ready" && livesOn(judge, process) ? [name] : [],
    ),
  );
  const held = new Set<string>();
  for (const { value, operation, at } of last.values())
    for (const { task, run: runId, since } of (operation === "put" && value?.held) || []) {
      // Of a dead worker, or not renewed: the server takes it away.
      const isOver = at < judge.closedAt - summary.settings.claimTimeoutMs;
      if (!value || isOver || !living.has(value.worker)) continue;
      held.add(`${value.worker} ${task} ${runId} ${since}`);
      const run = judge.world.runs.get(`${task}/${runId}`);
      const restAt = run?.commits.at(-1)?.timeMs ?? judge.closedAt;
      if (run && run.status !== "running" && restAt < judge.closedAt - late)
        judge.violate("granted", `is ${run.status}, and ${value.worker} still holds its slot`, run);
    }
  const released = [...seen.keys()].filter((grant) => !held.has(grant)).length;
  judge.balance("granted", seen.size, { released, held: held.size });
}

function livesOn({ evidence, closedAt }: Judge, process: string): boolean {
  return !evidence.lives.some((l) => l.process === process && l.edge === "exit" && l.at < closedAt);
}

/** How many runs had a step at work at once; not those that were told to stop, or lost. */
function mostAtOnce(judge: Judge, effects: readonly Effect[]): number {
  const open = new Map<string, Effect>();
  const edges: { at: number; change: 1 | -1; run: string }[] = [];
  for (const effect of effects) {
    const run = `${effect.taskName}/${effect.runId}`;
    const key = `${run} ${effect.step} ${effect.attempt}`;
    const begin = open.get(key);
    if (effect.phase === "begin") open.set(key, effect);
    if (effect.phase === "begin" || !begin) continue;
    open.delete(key);
    const { commits, interruptedAt } = judge.world.runs.get(run) ?? {};
    const worker = judge.workers.get(effect.process);
    const isLost = commits?.some(
      (c) => c.worker !== worker && c.timeMs > begin.at && c.timeMs < effect.at,
    );
    if (isLost || interruptedAt) continue;
    edges.push({ at: begin.at, change: 1, run }, { at: effect.at, change: -1, run });
  }
  const working = new Map<string, number>();
  let most = 0;
  for (const { change, run } of edges.sort((a, b) => a.at - b.at || a.change - b.change)) {
    const count = (working.get(run) ?? 0) + change;
    if (count > 0) working.set(run, count);
    else working.delete(run);
    most = Math.max(most, working.size);
  }
  return most;
}
