/** Laws about slots: by what steps did, and by what the records of held slots said. */
import { type Effect, groupBy, type Lease, type Span } from "./directory.ts";
import { type Facts, type Findings, isOf, nameOf } from "./facts.ts";

/** A worker may not know yet that its commit is stored: an answer is waited for so long. */
const ANSWER_MS = 3_000;

/** No process has more runs at work than slots of a pool. */
export function* work(facts: Facts): Findings {
  const { effects, lives, summary } = facts.evidence;
  for (const [process, all] of groupBy(effects, (effect) => effect.process))
    for (const pool of ["regular", "durable"] as const) {
      const life = lives.find((each) => each.process === process);
      const slots = (life?.slots ?? summary.settings.slots)?.[pool] ?? Number.POSITIVE_INFINITY;
      const mine = all.filter(({ token }) => (token === undefined) === (pool === "regular"));
      const most = mostAtOnce(facts, mine);
      yield* mine.map(() => ["P4"] as const);
      if (most > slots)
        yield ["P4", `${process} executed ${most} runs at once in ${slots} ${pool} slots`];
    }
}

/** How many runs had a step at work at once; not those that were told to stop, or lost. */
function mostAtOnce(facts: Facts, effects: readonly Effect[]): number {
  const attempts = groupBy(effects, (e) => `${nameOf(e)} ${e.step} ${e.attempt}`);
  const spans = [...attempts.values()].flatMap((edges) =>
    edges.flatMap(({ at: to, phase, process, ...effect }, i) => {
      const begin = edges[i - 1];
      if (phase === "begin" || begin?.phase !== "begin") return [];
      const [name, from, worker] = [nameOf(effect), begin.at, facts.workers.get(process)];
      const { commits = [], interruptedAt } = facts.all.get(name) ?? {};
      const others = commits.filter((commit) => commit.worker !== worker);
      const isLost = others.some(({ timeMs }) => timeMs > from && timeMs < to);
      return isLost || interruptedAt ? [] : [{ name, from, to }];
    }),
  );
  const counts = spans.map(({ from: at }) => {
    const working = spans.filter(({ from, to }) => from <= at && to > at);
    return new Set(working.map(({ name }) => name)).size;
  });
  return counts.reduce((most, count) => Math.max(most, count), 0);
}

/**
 * How long TCP may take to send again what was lost: it waits twice as long each time, so at most as long
 * as the fault has lasted.
 */
function backOffMs({ detail, from, to }: Span): number {
  return detail?.madeBy === "namespace" ? to - from : 0;
}

/** No record shows more runs than slots, or for long a run that has given up its slot. */
export function* records(facts: Facts): Findings {
  const { closedAt, workers, all } = facts;
  const { leases, slots = [], summary } = facts.evidence;
  const lateMs = summary.settings.claimTimeoutMs + ANSWER_MS;
  const processes = new Map([...workers].map(([process, worker]) => [worker, process]));
  const firstSeen = new Map<string, number>();
  for (const { value } of leases)
    if (value && value.held.length > value.capacity)
      yield ["P4", `${value.worker} showed ${value.held.length} runs in ${value.capacity} slots`];
  for (const { grant, name, worker, at } of leases.flatMap(heldIn)) {
    const firstAt = firstSeen.get(grant) ?? at;
    firstSeen.set(grant, firstAt);
    const rest = all.get(name)?.commits.findLast(({ timeMs }) => timeMs < at - lateMs);
    if (!rest?.isRest || rest.worker !== worker || firstAt >= rest.timeMs) continue;
    const process = processes.get(worker) ?? "";
    // It is known to a worker when what kept it from its servers, or these from work, is over.
    const kept = facts
      .during(rest.timeMs, at)
      .filter((span) => /server|_LOG_|consumers/.test(span.target) || isOf(span, process));
    const knownAt = Math.max(rest.timeMs, ...kept.map((span) => span.to + backOffMs(span)));
    if (at > knownAt + lateMs + facts.slowMs(rest.timeMs, at))
      yield [
        "P4",
        `held its slot ${Math.round(at - rest.timeMs)} ms after it gave up`,
        all.get(name),
      ];
  }
  const last = heldAtLast(facts);
  for (const { name, worker } of last) {
    const run = all.get(name);
    const restAt = run?.commits.at(-1)?.timeMs ?? closedAt;
    if (run && run.status !== "running" && restAt < closedAt - lateMs)
      yield ["granted", `is ${run.status}, and ${worker} still holds its slot`, run];
  }
  for (const { worker } of slots)
    yield ["granted", `slots are held by ${worker}, and no worker is alive`];
  const held = new Set(last.map(({ grant }) => grant));
  for (const grant of firstSeen.keys())
    yield* [["granted"], [held.has(grant) ? "granted held" : "granted released"]] as const;
}

/** A run in a record of held slots. */
type Held = Readonly<Record<"worker" | "name" | "grant", string>> & { readonly at: number };

function heldIn({ at, value }: Lease): Held[] {
  return (value?.held ?? []).map(({ task, run, since }) => {
    const worker = value?.worker ?? "";
    return { at, worker, name: `${task}/${run}`, grant: `${worker} ${task} ${run} ${since}` };
  });
}

/** What living workers hold when they are closed. The server takes away a record that is not renewed. */
function heldAtLast({ evidence: { leases, lives, summary }, closedAt }: Facts): Held[] {
  const before = leases.filter(({ at }) => at < closedAt);
  const last = new Map(before.map((lease) => [lease.bucket + lease.key, lease]));
  const living = new Set(lives.flatMap((l) => (l.isReady && l.to >= closedAt ? l.name : [])));
  const renewedAt = closedAt - summary.settings.claimTimeoutMs;
  return [...last.values()]
    .filter(({ operation, at }) => operation === "put" && at >= renewedAt)
    .flatMap(heldIn)
    .filter(({ worker }) => living.has(worker));
}
