/** Promises about each run for itself: ends, steps, wake-ups, tokens, divergence (P1 to P3, P5 to P7). */
import type { Effect } from "./directory.ts";
import { candidates, holds, type Run, type Wait, type World } from "./history.ts";
import type { Judge } from "./judge.ts";
import { isAsPlanned } from "./plans.ts";
import { bodyOf, type Outcome } from "./wire.ts";

/** A wake-up that comes by another way than the one that is lost may take so long. */
const PATIENCE_MS = 5_000;

/** So long before the end it matters how busy the machine was. */
const BUSY_MS = 20_000;
/** Within this, the engine may take for lost what a busy machine has not come to yet. */
const SLOW_MS = 2_000;
/** Faults after which something may be gone, or was refused once. */
const LOSING = ["edit", "tamper", "limit", "disk", "server"];

/** Judges every run. */
export function judgeRuns(judge: Judge): void {
  for (const run of judge.runs) {
    judgeEnd(judge, run);
    judgePasses(judge, run);
    judgeSteps(judge, run);
    judgeWakeUps(judge, run);
    judgeDivergence(judge, run);
  }
  const isChanged = judge.evidence.faults.some(({ family }) => family === "code");
  judge.needs("P7", isChanged, "code that was changed under its runs");
}

/** P1. */
function judgeEnd(judge: Judge, run: Run): void {
  judge.saw("P1");
  const count = (kind: string): number =>
    run.commits.reduce(
      (sum, { entries }) => sum + entries.filter((e) => e.kind === kind).length,
      0,
    );
  if (run.starts.length > 1) judge.violate("P1", "was started twice under one id", run);
  if (count("ended") > 1 + count("retried")) judge.violate("P1", "ended more than once", run);
  for (const { commit } of run.ends) {
    const next = run.commits.find(({ sequence }) => sequence > commit.sequence);
    if (next && !next.entries.some(({ kind }) => kind === "retried"))
      judge.violate("P1", `has a commit at ${next.sequence} behind its end`, run);
  }
  const end = run.ends.at(-1)?.outcome;
  if (run.status === "queued" || run.status === "running")
    judge.violate("P1", `is still ${run.status} although all was healed`, run);
  else if (end?.status === "completed" && !isAsPlanned(run, end.output))
    judge.violate("P1", `ended with ${JSON.stringify(end.output)}, which is not its plan's`, run);
  else if (!end) {
    const listed = judge.evidence.listed?.find((l) => `${l.taskName}/${l.runId}` === run.name);
    if (!listed?.why) judge.violate("P1", "has not ended, and nobody says why", run);
  }
}

/** P6, and what of it shows P5. */
function judgePasses(judge: Judge, run: Run): void {
  const over = new Set<string>();
  let moved = false;
  run.commits.forEach((commit, i) => {
    const before = run.commits[i - 1];
    const { pass, token, entries } = commit;
    judge.saw("P6");
    if (before?.pass === pass && before.token === token) return;
    if (over.has(pass)) judge.violate("P6", `has commits of ${pass} behind those of others`, run);
    if (before) over.add(before.pass);
    const last = before?.entries.at(-1);
    const isRest = last?.kind === "waiting" || last?.kind === "paused" || last?.kind === "ended";
    if (!before) {
      if (token !== run.starts[0]?.sequence)
        judge.violate("P6", `was begun with token ${token}, which is not its start`, run);
      return;
    }
    if (!entries.some(({ kind }) => kind === "claimed" || kind === "paused"))
      judge.violate("P6", `has commits of ${pass}, which never claimed it`, run);
    const answers = run.tokens.get(token);
    if (isRest && answers !== before.sequence)
      judge.violate(
        "P6",
        `was claimed behind ${before.sequence} with token ${token}, which answers ${answers ?? "nothing that is stored"}`,
        run,
      );
    const stands = run.lines.find(({ sequence }) => sequence === token);
    const isMended = stands !== undefined && isMend(bodyOf(stands)?.[3]);
    if (!isRest && token !== before.token && !(isMended && answers === before.sequence))
      judge.violate("P6", `was taken over with token ${token}, not ${before.token}`, run);
    moved ||= isRest && commit.worker !== before.worker && commit.worker !== "engine";
  });
  if (!moved) return;
  if (run.ends.length > 0) judge.saw("P5");
  const isStuck = run.status === "running" || run.status === "queued";
  if (isStuck) judge.violate("P5", "was resumed by another worker and did not go on", run);
}

/** P2. */
function judgeSteps(judge: Judge, run: Run): void {
  const effects = judge.effects.get(run.name) ?? [];
  const begins = effects.filter(({ phase }) => phase === "begin");
  for (const [key, commits] of run.steps) {
    judge.saw("P2");
    if (commits.length > 1 && !run.isReopened)
      judge.violate("P2", `has recorded the step "${key}" ${commits.length} times`, run);
    const entry = commits[0]?.entries.find((e) => e.key === key && e.kind === "step-completed");
    const isReal = effects.some(
      ({ phase, step, value }) =>
        phase === "end" && step === stepOf(key) && isSame(value, entry?.value),
    );
    if (entry && !isReal) judge.violate("P2", `has a result of "${key}" that no attempt gave`, run);
  }
  const claimed = new Set(
    run.commits.filter((c) => c.entries[0]?.kind === "claimed").map(({ worker }) => worker),
  );
  const unclaimed = new Set(
    begins
      .flatMap(({ process }) => judge.workers.get(process) ?? [])
      .filter((w) => !claimed.has(w)),
  );
  if (unclaimed.size > 1 && !areDeliveriesForgotten(judge, run, begins))
    judge.violate("P2", `was begun without a claim by ${[...unclaimed].join(" and ")}`, run);
  for (const effect of begins) judgeBegin(judge, run, effect);
}

/**
 * Whether a server may have forgotten that it had delivered the start: then it tells each of two workers
 * that it is the first, and before anything is recorded nothing says otherwise.
 */
function areDeliveriesForgotten(judge: Judge, run: Run, begins: readonly Effect[]): boolean {
  return judge
    .during(run.starts[0]?.timeMs ?? 0, begins.at(-1)?.at ?? 0)
    .some(({ kind }) => /server|restart|disk|consumer/.test(kind));
}

function judgeBegin(judge: Judge, run: Run, effect: Effect): void {
  const { process, step, at } = effect;
  const worker = judge.workers.get(process);
  if (worker === undefined) return;
  judge.saw("P2");
  const mine = run.commits.findLast((c) => c.worker === worker && c.timeMs <= at)?.sequence ?? 0;
  const token = effect.token === undefined ? mine : Number(effect.token);
  const owner = run.commits.find(({ sequence }) => sequence === token);
  if (token > 0 && !owner)
    judge.violate("P2", `had "${step}" begun with token ${token}, which is no commit`, run);
  if (owner && owner.worker !== worker)
    judge.violate("P2", `had "${step}" begun by ${process} on a commit of ${owner.worker}`, run);
  const done = [...run.steps].find(([key]) => stepOf(key) === step)?.[1][0];
  if (effect.token !== undefined && done && token >= done.sequence && !run.isReopened)
    judge.violate("P2", `had "${step}" begun behind its checkpoint ${done.sequence}`, run);
  const interrupted = run.interruptedAt?.sequence ?? Number.POSITIVE_INFINITY;
  // Code that catches what it is told may do steps afterwards, as it would to clean up.
  const isCleanup = /^(cleanup|undo)/.test(step) || JSON.stringify(run.input).includes('"guarded"');
  if (effect.token !== undefined && token >= interrupted && !isCleanup)
    judge.violate("P3", `had "${step}" begun after it was told to stop`, run);
  const lost = run.commits.find(({ sequence, worker: w }) => sequence > token && w !== worker);
  const limitMs = judge.evidence.summary.settings.claimTimeoutMs;
  if (lost && at > lost.timeMs + limitMs && !judge.wasStopped(process, lost.timeMs, at))
    judge.violate(
      "P2",
      `had "${step}" begun by ${process} ${Math.round(at - lost.timeMs)} ms after ${lost.worker} had it`,
      run,
    );
}

/** P3. */
function judgeWakeUps(judge: Judge, run: Run): void {
  const { world, closedAt } = judge;
  const longAgo = closedAt - PATIENCE_MS - judge.slowMs(closedAt - BUSY_MS, closedAt);
  for (const { wait, leaf, commit } of run.early) {
    const earlyMs = (wait.leaves[leaf]?.dueAt ?? 0) - commit.timeMs;
    judge.violate("P3", `was woken ${earlyMs} ms before "${wait.key}" was due`, run);
  }
  for (const wait of run.waits.values()) {
    judge.saw("P3");
    const late = overtaken(world, run, wait);
    if (late)
      judge.violate("P3", `let "${wait.key}" time out although event ${late} was there`, run);
    if (run.ends.length > 0 || run.status !== "waiting" || wait.isOver) continue;
    const settled = new Map(wait.settled);
    for (const [leaf, condition] of wait.leaves.entries()) {
      const outcome = happened(world, run, leaf, condition, longAgo);
      if (outcome) settled.set(leaf, outcome);
    }
    if (holds(wait.condition, settled))
      judge.violate("P3", `waits for "${wait.key}", which has happened`, run);
  }
  const overdue = [...run.retries].find(([, at]) => at < longAgo);
  if (run.status === "waiting" && overdue)
    judge.violate("P3", `waits for the next attempt of "${overdue[0]}", which was due`, run);
  const mend = run.lines.find(
    (line) => line.subject.endsWith(".ready") && isMend(bodyOf(line)?.[3]),
  );
  const before = run.commits.findLast(({ timeMs }) => timeMs <= (mend?.timeMs ?? 0))?.timeMs ?? 0;
  const isSlow = mend !== undefined && judge.slowMs(before, mend.timeMs) > SLOW_MS;
  if (mend && !isSlow && !judge.spans.some(({ family }) => LOSING.includes(family)))
    judge.violate("P3", "was lost until the engine found it, and nothing was taken away", run);
  const cancel = run.lines.find(({ subject }) => subject.endsWith(".cancel"));
  if (cancel && bodyOf(cancel)) judge.saw("P3");
  if (cancel && bodyOf(cancel)?.[0] === run.starts[0]?.sequence && run.ends.length === 0)
    if (!run.interruptedAt && cancel.timeMs < longAgo)
      judge.violate("P3", "has not been told of its cancellation", run);
}

/** Whether a token says that the engine has found that nobody would wake the run. */
function isMend(because: unknown): boolean {
  return (because as { readonly poke?: unknown } | undefined)?.poke === "wake-lost";
}

/** What has happened to a leaf by a time, whether or not the run was told. */
function happened(
  world: World,
  run: Run,
  leaf: number,
  condition: Run["waits"] extends Map<string, infer W extends Wait> ? W["leaves"][number] : never,
  until: number,
): Outcome | undefined {
  switch (condition.kind) {
    case "sleep":
      return (condition.dueAt ?? 0) < until ? { kind: "sleep" } : undefined;
    case "event": {
      const taken = new Set(run.consumed.map(({ outcome }) => outcome.sequence));
      const free = candidates(world, condition).filter(
        ({ sequence, timeMs }) => !taken.has(sequence) && timeMs < until,
      );
      return free.length > 0 ? { kind: "event" } : undefined;
    }
    case "child":
      return endOf(world.runs.get(`${condition.taskName}/${condition.runId}`), until);
    case "children": {
      const first = condition.first ?? 0;
      const ended = (world.children.get(run.name) ?? []).flatMap((child) => {
        const position = Number(child.runId.slice(child.runId.lastIndexOf("-") + 1)) - first;
        const end = endOf(child, until)?.outcome;
        const isOfGroup = position >= 0 && position < (condition.count ?? 0);
        return isOfGroup && end ? ([[position, end]] as [number, Outcome][]) : [];
      });
      return ended.length > 0 ? { kind: "children", ended } : undefined;
    }
    default:
      throw new TypeError(`Leaf ${leaf} is no leaf.`);
  }
}

function endOf(run: Run | undefined, until: number): Outcome | undefined {
  const end = run?.ends.at(-1);
  return end && end.commit.timeMs < until ? { kind: "child", outcome: end.outcome } : undefined;
}

/** An event that came before the time was over, where the time has won (rule 22). */
function overtaken(world: World, run: Run, wait: Wait): number | undefined {
  const [first] = wait.settled;
  const isTimeout = wait.condition.kind === "anyOf" && wait.isOver && first?.[1].kind === "sleep";
  if (!isTimeout) return undefined;
  const dueAt = wait.leaves[first[0]]?.dueAt ?? 0;
  const taken = new Set(run.consumed.map(({ outcome }) => outcome.sequence));
  for (const leaf of wait.leaves)
    if (leaf.kind === "event")
      for (const { sequence, timeMs } of candidates(world, leaf))
        if (!taken.has(sequence) && timeMs < dueAt - SAME_TIME_MS) return sequence;
  return undefined;
}

/** Closer than this, the clocks of two servers may not agree which came first. */
const SAME_TIME_MS = 50;

/** P7. */
function judgeDivergence(judge: Judge, run: Run): void {
  const isChanged = judge.spans.some(({ family }) => family === "code");
  for (const commit of run.commits)
    for (const { kind, details } of commit.entries) {
      if (kind !== "paused" || details?.code !== "replay-diverged") continue;
      judge.saw("P7");
      if (commit === run.commits.at(-1))
        judge.violate("P7", "is still paused although its code is as it was", run);
      if (!isChanged) judge.violate("P7", "diverged although its code is the same", run);
      if (!Array.isArray(details.asked)) judge.violate("P7", "diverged and does not say how", run);
      const begun = run.commits.find(({ pass }) => pass === commit.pass)?.sequence ?? 0;
      const isNew = (judge.effects.get(run.name) ?? []).some(
        ({ phase, token, process }) =>
          phase === "begin" &&
          judge.workers.get(process) === commit.worker &&
          Number(token) >= begun &&
          Number(token) < commit.sequence,
      );
      if (isNew) judge.violate("P7", "did something new before its divergence was found", run);
    }
}

function stepOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}

/** Equal as JSON, in which effects are written. */
export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
