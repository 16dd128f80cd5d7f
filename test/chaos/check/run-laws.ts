/** Laws about each run for itself: ends, passes, steps, wake-ups, divergence, events, timers. */
import { type Effect, groupBy } from "./directory.ts";
import { type Facts, type Findings, isOf, isSame } from "./facts.ts";
import { has, holds, type Run } from "./history.ts";
import { isAsPlanned } from "./plans.ts";
import { type Condition, headerOf, type Message, type Outcome } from "./wire.ts";

/** A wake-up that comes by another way than the one that is lost may take so long. */
const PATIENCE_MS = 5_000;
/** So long before the end it matters how busy the machine was. */
const BUSY_MS = 20_000;
/** Within this, the engine may take for lost what a busy machine has not come to yet. */
const SLOW_MS = 2_000;
/** Closer than this, the clocks of two servers may not agree which came first. */
const SAME_TIME_MS = 50;
/** Sooner than this a sleep is kept in its worker. */
const SHORT_SLEEP_MS = 1_000;
/** A list of runs is at most so much behind the log. */
const LAG_MS = 1_000;
/** Faults after which something may be gone, or was refused once. */
const LOSING = ["edit", "tamper", "limit", "disk", "server"];

/** Every start ends once with what its program demands, or waits for what has a name. */
function* ends(run: Run, facts: Facts): Findings {
  const end = run.ends.at(-1)?.outcome;
  yield ["P1"];
  if (run.starts.length > 1) yield ["P1", "was started twice under one id"];
  if (run.isActive) yield ["P1", `is still ${run.status} although all was healed`];
  else if (!end && !facts.listed.get(run.name)?.why)
    yield ["P1", "has not ended, and nobody says why"];
  else if (end?.status === "completed" && !isAsPlanned(run, end.output))
    yield ["P1", `ended with ${JSON.stringify(end.output)}, which is not its plan's`];
}

/** Passes follow each other: each claims what the one before it has left, and none comes back. */
function* passes(run: Run): Findings {
  const over = new Set<string>();
  let hasMoved = false;
  for (const [i, commit] of run.commits.entries()) {
    const { sequence, pass, worker, token } = commit;
    const before = run.commits[i - 1];
    yield ["P6"];
    if (commit.entries.filter(({ kind }) => kind === "ended").length > 1)
      yield ["P1", "ended more than once"];
    const ready = run.messages.find((each) => each.kind === "ready" && each.sequence === token);
    if (!before && token !== run.starts[0]?.sequence && !isMend(ready))
      yield ["P6", `was begun with token ${token}, which is not its start`];
    if (!before) continue;
    if (has(before, "ended") && !has(commit, "retried"))
      yield ["P1", `has a commit at ${sequence} behind its end`];
    if (before.pass === pass && before.token === token) continue;
    if (over.has(pass)) yield ["P6", `has commits of ${pass} behind those of others`];
    over.add(before.pass);
    if (!has(commit, "claimed") && !has(commit, "paused"))
      yield ["P6", `has commits of ${pass}, which never claimed it`];
    const answers = ready?.body?.[0];
    const isAnswer = answers === before.sequence;
    const claimed = `was claimed behind ${before.sequence} with token ${token}`;
    if (before.isRest && !isAnswer)
      yield ["P6", `${claimed}, which answers ${answers ?? "nothing that is stored"}`];
    if (!before.isRest && token !== before.token && !(isAnswer && isMend(ready)))
      yield ["P6", `was taken over with token ${token}, not ${before.token}`];
    hasMoved ||= before.isRest && worker !== before.worker && worker !== "engine";
  }
  if (hasMoved && run.ends.length > 0) yield ["P5"];
  if (hasMoved && run.isActive) yield ["P5", "was resumed by another worker and did not go on"];
}

/** A step is recorded once, with a result that an attempt gave. */
function* steps(run: Run, facts: Facts): Findings {
  const ended = effectsOf(run, facts, "end");
  for (const [key, commits] of run.steps) {
    yield ["P2"];
    if (commits.length > 1 && !run.isReopened)
      yield ["P2", `has recorded the step "${key}" ${commits.length} times`];
    const entry = commits[0]?.entries.find((e) => e.key === key && e.kind === "step-completed");
    const given = ended.filter(
      ({ step, value }) => step === stepOf(key) && isSame(value, entry?.value),
    );
    if (entry && given.length === 0) yield ["P2", `has a result of "${key}" that no attempt gave`];
  }
}

/** A step begins in the pass that has the run, or before its worker can know that it has not. */
function* begins(run: Run, facts: Facts): Findings {
  const all = effectsOf(run, facts, "begin");
  const claims = run.commits.filter(({ entries }) => entries[0]?.kind === "claimed");
  const unclaimed = new Set(all.flatMap(({ process }) => facts.workers.get(process) ?? []));
  for (const { worker } of claims) unclaimed.delete(worker);
  // A server that has forgotten that it delivered the start tells each of two workers that it is the
  // first, and before anything is recorded nothing says otherwise.
  const isForgotten = facts
    .during(run.starts[0]?.timeMs ?? 0, all.at(-1)?.at ?? 0)
    .some(({ kind }) => /server|restart|disk|consumer/.test(kind));
  if (unclaimed.size > 1 && !isForgotten)
    yield ["P2", `was begun without a claim by ${[...unclaimed].join(" and ")}`];
  for (const effect of all) yield* begin(run, facts, effect);
}

function* begin(run: Run, facts: Facts, { process, step, at, token: fence }: Effect): Findings {
  const worker = facts.workers.get(process);
  if (worker === undefined) return;
  yield ["P2"];
  const mine = run.commits.findLast((c) => c.worker === worker && c.timeMs <= at)?.sequence ?? 0;
  const token = fence === undefined ? mine : Number(fence);
  const owner = run.commits.find(({ sequence }) => sequence === token);
  const done = [...run.steps].find(([key]) => stepOf(key) === step)?.[1][0];
  const lost = run.commits.find((commit) => commit.sequence > token && commit.worker !== worker);
  const lateMs = at - (lost?.timeMs ?? at);
  const { claimTimeoutMs } = facts.evidence.summary.settings;
  // Code that catches what it is told may do steps afterwards, as it would to clean up.
  const isCleanup =
    /^(cleanup|undo)/.test(step) || `${JSON.stringify(run.input)}`.includes('"guarded"');
  const had = `had "${step}" begun`;
  if (token > 0 && !owner) yield ["P2", `${had} with token ${token}, which is no commit`];
  if (owner && owner.worker !== worker)
    yield ["P2", `${had} by ${process} on a commit of ${owner.worker}`];
  if (fence !== undefined && done && token >= done.sequence && !run.isReopened)
    yield ["P2", `${had} behind its checkpoint ${done.sequence}`];
  if (fence !== undefined && run.interruptedAt && token >= run.interruptedAt.sequence && !isCleanup)
    yield ["P3", `${had} after it was told to stop`];
  const wasStopped = facts
    .during(lost?.timeMs ?? at, at)
    .some((span) => /stop/.test(span.kind) && isOf(span, process));
  if (lateMs > claimTimeoutMs && lost && !wasStopped)
    yield ["P2", `${had} by ${process} ${Math.round(lateMs)} ms after ${lost.worker} had it`];
}

/** Nothing that a run waits for has happened long ago, and nothing woke it before its time. */
function* wakeUps(run: Run, facts: Facts): Findings {
  const { closedAt } = facts;
  const longAgo = closedAt - PATIENCE_MS - facts.slowMs(closedAt - BUSY_MS, closedAt);
  const isWaiting = run.status === "waiting";
  for (const { key, byMs } of run.early)
    yield ["P3", `was woken ${byMs} ms before "${key}" was due`];
  for (const { key, leaves, condition, settled, isOver } of run.waits.values()) {
    yield ["P3"];
    const happenedBy = (time: number): [number, Outcome][] =>
      leaves.flatMap((leaf, i) => happened(time, run, facts, leaf).map((outcome) => [i, outcome]));
    const [[first = 0, outcome] = []] = settled;
    const isTimeout = condition.kind === "anyOf" && isOver && outcome?.kind === "sleep";
    const before = isTimeout ? happenedBy((leaves[first]?.dueAt ?? 0) - SAME_TIME_MS) : [];
    const event = before.find(([, { kind }]) => kind === "event")?.[1].sequence;
    if (event !== undefined)
      yield ["P3", `let "${key}" time out although event ${event} was there`];
    if (isWaiting && !isOver && holds(condition, new Map([...settled, ...happenedBy(longAgo)])))
      yield ["P3", `waits for "${key}", which has happened`];
  }
  const overdue = [...run.retries].find(([, at]) => at < longAgo);
  if (isWaiting && overdue)
    yield ["P3", `waits for the next attempt of "${overdue[0]}", which was due`];
  const mend = run.messages.find((message) => isMend(message));
  const before = run.commits.findLast(({ timeMs }) => timeMs <= (mend?.timeMs ?? 0))?.timeMs ?? 0;
  const isLosing = facts.evidence.spans.some(({ family }) => LOSING.includes(family));
  if (mend && !isLosing && facts.slowMs(before, mend.timeMs) <= SLOW_MS)
    yield ["P3", "was lost until the engine found it, and nothing was taken away"];
  const cancel = run.last("cancel");
  if (cancel?.body) yield ["P3"];
  const isOpen = run.ends.length === 0 && !run.interruptedAt;
  const isAsked = cancel?.body?.[0] === run.starts[0]?.sequence;
  if (cancel && isAsked && isOpen && cancel.timeMs < longAgo)
    yield ["P3", "has not been told of its cancellation"];
}

/** Whether the engine has found that nothing but this token would wake the run. */
function isMend(message: Message | undefined): boolean {
  const because = message?.kind === "ready" ? message.body?.[3] : undefined;
  return (because as { readonly poke?: unknown } | undefined)?.poke === "wake-lost";
}

/** What has happened to a leaf by a time, whether or not the run was told. */
function happened(time: number, run: Run, facts: Facts, leaf: Condition): Outcome[] {
  const { kind, dueAt = 0, count = 1 } = leaf;
  if (kind === "sleep") return dueAt < time ? [{ kind }] : [];
  if (kind === "event") {
    const event = facts.pending(run, leaf).find(({ timeMs }) => timeMs < time);
    return event ? [{ kind, sequence: event.sequence }] : [];
  }
  const ended = [...Array(count).keys()].flatMap((position) => {
    const end = facts.childOf(run, leaf, position)?.ends.at(-1);
    return end && end.timeMs < time ? [[position, end.outcome] as const] : [];
  });
  return ended.length > 0 ? [{ kind, ended }] : [];
}

/** What a run was told of its children is how those ended. */
function* children(run: Run, facts: Facts): Findings {
  for (const { key, leaves, settled } of run.waits.values())
    for (const [index, { ended = [], outcome, kind }] of settled)
      for (const [position, end] of kind === "child" && outcome ? [[0, outcome] as const] : ended) {
        const leaf = leaves[index];
        const child = leaf && facts.childOf(run, leaf, position);
        yield ["P3"];
        if (child ? !child.ends.some((e) => isSame(e.outcome, end)) : end.status !== "failed")
          yield ["P3", `was told another end of child ${position} of "${key}"`];
      }
}

/** A run whose replay differs stops, says so, and has done nothing new; and goes on with the right code. */
function* divergence(run: Run, facts: Facts): Findings {
  const isChanged = facts.evidence.spans.some(({ family }) => family === "code");
  const begun = effectsOf(run, facts, "begin");
  // A run that was told to stop in a step of changed code has that step in its history for good.
  const isKept = run.commits.some(({ entries }) =>
    entries.some(({ key }) => stepOf(key ?? "").startsWith("changed ")),
  );
  for (const commit of run.commits) {
    const details = commit.entries.find(({ kind }) => kind === "paused")?.details;
    if (details?.code !== "replay-diverged") continue;
    yield ["P7"];
    if (commit === run.commits.at(-1) && !isKept)
      yield ["P7", "is still paused although its code is as it was"];
    if (!isChanged) yield ["P7", "diverged although its code is the same"];
    if (!Array.isArray(details.asked)) yield ["P7", "diverged and does not say how"];
    const first = run.commits.find(({ pass }) => pass === commit.pass)?.sequence ?? 0;
    const mine = begun.filter(({ process }) => facts.workers.get(process) === commit.worker);
    if (mine.some(({ token }) => Number(token) >= first && Number(token) < commit.sequence))
      yield ["P7", "did something new before its divergence was found"];
  }
}

/** A run was asked for by somebody, and has one status: by its history, by its header and in the list. */
function* status(run: Run, facts: Facts): Findings {
  const { listedAt = facts.evidence.summary.endedAt } = facts.evidence.summary;
  const last = run.commits.at(-1);
  const isProbe = run.runId.startsWith("probe-"); // the runner's own
  const isAsked = run.parent ? facts.all.has(run.parent) : isProbe || facts.asked.has(run.name);
  const listed = facts.listed.get(run.name)?.status;
  yield ["accepted"];
  if (!isAsked) yield ["accepted", "was started by nobody"];
  if (last?.status !== undefined && last.status !== run.status)
    yield ["accepted", `is ${run.status}, and its header says ${last.status}`];
  const isRested = (last?.timeMs ?? 0) < listedAt - LAG_MS;
  if (facts.listed.size > 0 && isRested && listed !== run.status)
    yield ["accepted", `is ${run.status}; the list has it as ${listed}`];
}

/** A run consumes what was published and matches, each once, in order, and leaves nothing out. */
function* consumption(run: Run, facts: Facts): Findings {
  const taken = new Set<number>();
  for (const { leaf, sequence, data } of run.consumed) {
    const event = leaf && facts.candidates(leaf).find((each) => each.sequence === sequence);
    const missed = leaf && facts.pending(run, leaf).find((each) => each.sequence < sequence);
    const consumed = `consumed event ${sequence}`;
    if (!event || !isSame(event.payload, data))
      yield ["published", `${consumed}, which is not what is published`];
    if (taken.has(sequence) && !run.isReopened) yield ["published", `${consumed} twice`];
    if (missed && !run.isReopened) yield ["published", `${consumed} and never ${missed.sequence}`];
    taken.add(sequence);
  }
  const kinds = groupBy(run.consumed, ({ leaf }) => JSON.stringify([leaf?.name, leaf?.where]));
  for (const list of run.isReopened ? [] : kinds.values()) {
    const isPlain = new Set(list.map(({ openedAt }) => openedAt)).size === list.length;
    if (isPlain && list.some(({ sequence }, i) => sequence < (list[i - 1]?.sequence ?? 0)))
      yield ["published", "consumed events of one kind in another order"];
  }
  const matching = new Set(run.cursors.flatMap((leaf) => facts.candidates(leaf)));
  for (const { sequence } of matching)
    yield* taken.has(sequence) ? [["published"]] : [["published"], ["published pending"]];
  yield* [...taken].map(() => ["published consumed"] as const);
}

/** Who waits has what will wake it: a timer, a registration. Nobody has a timer for another wait. */
function* timers(run: Run, { closedAt }: Facts): Findings {
  const timer = run.last("timer");
  for (const [i, { sequence, timeMs, dueAt = 0, entries }] of run.commits.entries()) {
    const next = run.commits[i + 1];
    if (entries.at(-1)?.kind !== "waiting" || dueAt < timeMs + SHORT_SLEEP_MS) continue;
    yield ["scheduled"];
    if (next?.entries.some(({ because }) => because === "timer")) yield ["scheduled fired"];
    else if (next) yield ["scheduled canceled"];
    else if (timer?.body?.[0] === sequence) yield ["scheduled pending"];
  }
  const wait = run.status === "waiting" ? run.commits.at(-1) : undefined;
  const isTimed = timer?.body?.[0] === wait?.sequence;
  const registered = run.last("wait")?.body?.[0];
  // What is no schedule wakes nobody, and is nobody's business.
  if (timer && headerOf(timer, "Nats-Schedule") !== undefined && !(wait && isTimed))
    yield ["scheduled", `is ${run.status}, and has a timer for another wait`];
  if (!wait) return;
  const { sequence, dueAt = 0 } = wait;
  if (dueAt > closedAt + SHORT_SLEEP_MS && !isTimed)
    yield ["scheduled", `waits until ${new Date(dueAt).toISOString()}, and no timer is set for it`];
  if (run.openLeaves.some(({ kind }) => kind !== "sleep") && registered !== sequence)
    yield ["P3", `waits since ${sequence}, and its registration is for ${registered ?? "nothing"}`];
}

function effectsOf(run: Run, facts: Facts, phase: Effect["phase"]): Effect[] {
  return facts.effects.get(run.name)?.filter((effect) => effect.phase === phase) ?? [];
}

function stepOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}

/** The laws about a run. */
export const RUN_LAWS: readonly ((run: Run, facts: Facts) => Findings)[] = [
  ...[ends, passes, steps, begins, wakeUps, children, divergence],
  ...[status, consumption, timers],
];
