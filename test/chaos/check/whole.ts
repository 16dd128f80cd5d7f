/** Promises about all runs together, and the laws of conservation (P8 to P10). */
import type { Life } from "./directory.ts";
import { candidates, type Run } from "./history.ts";
import { groupBy, type Judge, type Told } from "./judge.ts";
import { isSame } from "./runs.ts";
import { bodyOf, headerOf, type Line } from "./wire.ts";

/** So long a time without an engine shows something. */
const WINDOW_MS = 5_000;
/** A list of runs is at most so much behind the log. */
const LAG_MS = 1_000;
/** Sooner than this a sleep is kept in its worker. */
const SHORT_SLEEP_MS = 1_000;

/** Judges everything that is not about one run alone. */
export function judgeWhole(judge: Judge): void {
  judgeTold(judge);
  judgeStored(judge);
  judgeBadInput(judge);
  judgeWindows(judge);
  judgeAccepted(judge);
  judgePublished(judge);
  judgeScheduled(judge);
}

/** P8: what clients were told. */
function judgeTold(judge: Judge): void {
  const published = groupBy(
    judge.told.filter(({ op, edge }) => op === "publish" && edge !== "failed"),
    ({ invoked }) => JSON.stringify([invoked.eventName, invoked.payload]),
  );
  const replayed = new Map<number, number>();
  for (const { kind, detail } of judge.spans)
    for (const sequence of kind === "replay-events" ? (detail?.sequences ?? []) : [])
      replayed.set(sequence, (replayed.get(sequence) ?? 0) + 1);
  const stored = groupBy(judge.world.events, ({ name, payload }) =>
    JSON.stringify([name, payload]),
  );
  for (const [event, calls] of published) {
    const ok = calls.filter(({ edge }) => edge === "ok").length;
    const copies = stored.get(event) ?? [];
    const most = calls.reduce((sum, call) => sum + (isSentTwice(judge, call) ? 2 : 1), 0);
    const again = copies.reduce((sum, { sequence }) => sum + (replayed.get(sequence) ?? 0), 0);
    judge.saw("P8");
    if (copies.length < ok || copies.length > most + again)
      judge.violate(
        "P8",
        `event ${event} is stored ${copies.length} times; ${ok} of ${calls.length} calls succeeded`,
      );
  }
  for (const told of judge.told) judgeAnswer(judge, told);
  for (const run of judge.runs) judgeChildren(judge, run);
}

/** Whether what a client wrote then may have been sent twice on its way. */
function isSentTwice(judge: Judge, { invoked, at }: Told): boolean {
  return judge
    .during(invoked.at, at)
    .some(
      ({ kind, target }) => kind === "repeat-writes-client" && invoked.process.startsWith(target),
    );
}

function judgeAnswer(judge: Judge, { op, edge, key, invoked, value, error }: Told): void {
  const run = judge.world.runs.get(`${invoked.taskName}/${invoked.runId}`);
  if (edge === "unknown" || (run && judge.excused.has(run.name))) return;
  if (op === "start" && edge === "ok" && key !== "bad") {
    judge.saw("P8");
    if (!run?.starts[0])
      judge.violate("P8", `start of ${invoked.taskName}/${invoked.runId} is lost`);
    else if (!isSame(run.input, invoked.payload))
      judge.violate("P1", "was started by two clients with two inputs", run);
  } else if ((op === "cancel" || op === "terminate") && edge === "ok") {
    judge.saw("P8");
    if (!run?.lines.some(({ subject }) => subject.endsWith(".cancel")))
      judge.violate("P8", `the request to ${op} ${invoked.runId} is lost`, run);
  } else if (op === "result") {
    judge.saw("P8");
    const isIt = run?.ends.some(({ outcome: { status, output } }) =>
      edge === "ok"
        ? status === "completed" && isSame(output, value?.output)
        : status !== "completed",
    );
    if (!isIt)
      judge.violate(
        "P8",
        `ended otherwise than its client was told: ${JSON.stringify(value ?? error)}`,
        run,
      );
  }
}

/** What parents have recorded of their children is how those ended, once each. */
function judgeChildren(judge: Judge, run: Run): void {
  const group = judge.world.children.get(run.name) ?? [];
  for (const wait of run.waits.values())
    for (const [leaf, { ended = [], outcome, kind }] of wait.settled) {
      const { taskName, runId, first = 0 } = wait.leaves[leaf] ?? {};
      const single = judge.world.runs.get(`${taskName}/${runId}`);
      const told = kind === "child" && outcome ? [[0, outcome] as const] : ended;
      for (const [position, end] of told) {
        const child = runId ? single : group.find((c) => c.runId.endsWith(`-${first + position}`));
        judge.saw("P3");
        if (child ? !child.ends.some((each) => isSame(each.outcome, end)) : end.status !== "failed")
          judge.violate("P3", `was told another end of child ${position} of "${wait.key}"`, run);
      }
    }
}

/** P8: what was seen to be stored is stored. */
function judgeStored(judge: Judge): void {
  const { live, dump, lives, faults, summary } = judge.evidence;
  for (const [stream, lines] of live) {
    const isEvents = stream === `${summary.namespace}_EVENTS`;
    const stored = new Set(dump.get(stream)?.map(({ sequence }) => sequence));
    const edited = new Set(
      faults
        .filter((f) => f.family === "edit" && f.target === stream)
        .flatMap((f) => f.detail?.sequences ?? []),
    );
    for (const { sequence, subject } of lines) {
      if (!isEvents && !/_LOG_\d+$/.test(stream)) continue;
      if (!isEvents && !/\.(start|ready|h|c|cancel)$/.test(subject)) continue;
      judge.saw("P8");
      const isNewer = subject.endsWith(".cancel") || edited.has(sequence);
      if (!stored.has(sequence) && !isNewer)
        judge.violate("P8", `message ${sequence} of ${stream} on ${subject} is gone`);
    }
  }
  const healedAt = summary.healedAt ?? 0;
  const killed = lives.filter(({ signal, at }) => signal === "SIGKILL" && at < healedAt);
  const kills = new Set(killed.map(({ role }) => role));
  for (const role of ["worker", "engine", "server"])
    judge.needs("P8", kills.has(role), `a ${role} that was killed`);
}

/** P9. */
function judgeBadInput(judge: Judge): void {
  const { faults, lives } = judge.evidence;
  const bad = judge.told.filter(({ invoked }) => invoked.key === "bad");
  for (const { op, edge, error, id } of bad) {
    judge.saw("P9");
    if (edge !== "failed" || !error?.code)
      judge.violate("P9", `bad input of ${op} ${id} got ${edge} and ${JSON.stringify(error)}`);
  }
  const ready = new Set(lives.filter((l) => l.edge === "ready").map(({ process }) => process));
  for (const { edge, process, role, expected, code } of lives) // who cannot even begin says why
    if (edge === "exit" && !expected && code && role !== "client" && ready.has(process))
      judge.violate("P9", `${process} ended by itself with code ${code}`);
  judge.needs("P9", bad.length > 0, "bad input");
  judge.needs(
    "P9",
    faults.some(({ family }) => family === "garbage"),
    "garbage on log subjects",
  );
}

/** P10. */
function judgeWindows(judge: Judge): void {
  for (const [from, to] of windowsWithoutEngine(judge)) {
    const during = (at: number): boolean => at > from && at < to;
    const begun = judge.runs.filter(({ starts }) => during(starts[0]?.timeMs ?? 0));
    const ended = begun.filter(({ ends }) => during(ends[0]?.commit.timeMs ?? 0));
    const commits = judge.runs.flatMap((run) => run.commits.filter(({ timeMs }) => during(timeMs)));
    const kinds = new Set(commits.flatMap(({ entries }) => entries.map(({ kind }) => kind)));
    const woken = commits.some(({ entries }) => entries.some(({ because }) => because === "timer"));
    if (ended.length > 0 && kinds.has("step-completed") && woken) judge.saw("P10", ended.length);
    const early = begun.filter(({ starts }) => (starts[0]?.timeMs ?? 0) < to - WINDOW_MS);
    if (early.length > 0 && commits.length === 0 && !isDisturbed(judge, from, to))
      judge.violate(
        "P10",
        `nothing went on for ${Math.round(to - from)} ms without an engine`,
        early[0],
      );
  }
}

function isDisturbed(judge: Judge, from: number, to: number): boolean {
  return judge.during(from - WINDOW_MS, to).some(({ target }) => !/engine/.test(target));
}

function windowsWithoutEngine({ evidence: { lives, summary } }: Judge): [number, number][] {
  const windows: [number, number][] = [];
  const alive = new Set<string>();
  let emptyAt = summary.startedAt;
  for (const { role, edge, at, process } of lives.filter((life: Life) => life.role === "engine")) {
    if (edge === "start" && alive.size === 0 && at - emptyAt >= WINDOW_MS)
      windows.push([emptyAt, at]);
    if (edge === "start") alive.add(process);
    if (edge === "exit" && role && alive.delete(process)) emptyAt = at;
  }
  return windows;
}

/** The law of starts: each has somebody who asked for it, and is in one status. */
function judgeAccepted(judge: Judge): void {
  const asked = new Set(
    judge.told
      .filter(({ op }) => op === "start")
      .map(({ invoked }) => `${invoked.taskName}/${invoked.runId}`),
  );
  for (const run of judge.runs) {
    judge.saw("accepted");
    const [taskName, runId] = run.parent ?? [];
    const parent = judge.world.runs.get(`${taskName}/${runId}`);
    const isProbe = run.runId.startsWith("probe-"); // the runner's own
    if (run.parent ? !parent : !asked.has(run.name) && !isProbe)
      judge.violate("accepted", "was started by nobody", run);
    const { status } = run.commits.at(-1) ?? {};
    if (status !== undefined && status !== run.status)
      judge.violate("accepted", `is ${run.status}, and its header says ${status}`, run);
  }
  const listed = judge.evidence.listed ?? [];
  const byName = new Map(listed.map((l) => [`${l.taskName}/${l.runId}`, l.status]));
  judge.needs("accepted", listed.length > 0, "the list of all runs");
  const { listedAt = judge.evidence.summary.endedAt, quiet = true } = judge.evidence.summary;
  const rested = judge.runs.filter(
    ({ commits }) => (commits.at(-1)?.timeMs ?? 0) < listedAt - LAG_MS,
  );
  for (const run of listed.length > 0 ? rested : [])
    if (byName.get(run.name) !== run.status)
      judge.violate(
        "accepted",
        `is ${run.status}; the list has it as ${byName.get(run.name)}`,
        run,
      );
  const accepted = new Set(judge.runs.map(({ name }) => name));
  const counted = { queued: 0, waiting: 0, running: 0, paused: 0, ended: 0 };
  for (const [name, status] of byName)
    if (!judge.excused.has(name)) counted[status in counted ? (status as "waiting") : "ended"]++;
  for (const name of byName.keys())
    if (!accepted.has(name) && !judge.excused.has(name))
      judge.violate("accepted", `${name} is in the list, and nobody has started it`);
  if (quiet) judge.balance("accepted", accepted.size, counted); // else they have gone on
}

/** The law of events: every cursor consumes what matches in order, each once. */
function judgePublished(judge: Judge): void {
  judgePublishedFor(judge);
  const cursors = judge.runs.flatMap((run) =>
    [...run.waits.values()].flatMap((wait) =>
      wait.leaves.map((leaf, i) => ({ run, leaf, settled: wait.settled.get(i) })),
    ),
  );
  const matching = new Set<string>();
  const consumed = new Set<string>();
  for (const { run, leaf, settled } of cursors.filter((each) => each.leaf.kind === "event")) {
    for (const { sequence } of candidates(judge.world, leaf))
      matching.add(`${run.name} ${sequence}`);
    if (settled?.kind === "event") consumed.add(`${run.name} ${settled.sequence}`);
  }
  const pending = [...matching].filter((each) => !consumed.has(each)).length;
  judge.balance("published", matching.size, { consumed: consumed.size, pending });
}

function judgePublishedFor(judge: Judge): void {
  for (const run of judge.runs) {
    const taken = new Set<number>();
    for (const { wait, leaf, outcome } of run.consumed) {
      judge.saw("published");
      const condition = wait.leaves[leaf];
      const { sequence = 0, data } = outcome;
      const open = condition ? candidates(judge.world, condition) : [];
      const event = open.find((candidate) => candidate.sequence === sequence);
      if (!event || !isSame(event.payload, data))
        judge.violate(
          "published",
          `consumed event ${sequence}, which is not what is published`,
          run,
        );
      if (taken.has(sequence) && !run.isReopened)
        judge.violate("published", `consumed event ${sequence} twice`, run);
      taken.add(sequence);
      const missed = open.find(
        (candidate) =>
          candidate.sequence < sequence &&
          !run.consumed.some((c) => c.outcome.sequence === candidate.sequence),
      );
      if (missed && !run.isReopened)
        judge.violate("published", `consumed event ${sequence} and never ${missed.sequence}`, run);
    }
    const order = groupBy(run.consumed, ({ wait, leaf }) =>
      JSON.stringify([wait.leaves[leaf]?.name, wait.leaves[leaf]?.where]),
    );
    for (const list of order.values()) {
      const inOrder = [...list].sort(
        (a, b) => (a.outcome.sequence ?? 0) - (b.outcome.sequence ?? 0),
      );
      const isPlain =
        !run.isReopened &&
        new Set(list.map(({ wait }) => wait.openedAt.sequence)).size === list.length;
      if (isPlain && inOrder.some((each, i) => each !== list[i]))
        judge.violate("published", "consumed events of one kind in another order", run);
    }
  }
}

/** Whether a timer is for this waiting commit. What is no schedule wakes nobody, and is nobody's business. */
function isFor(line: Line, sequence: number | undefined): boolean {
  if (headerOf(line, "Nats-Schedule") === undefined) return true;
  return sequence !== undefined && bodyOf(line)?.[0] === sequence;
}

/** The law of timers and registrations: who waits has what will wake it. */
function judgeScheduled(judge: Judge): void {
  const count = { scheduled: 0, fired: 0, canceled: 0, pending: 0 };
  for (const run of judge.runs) {
    countTimers(run, count);
    const rest = run.commits.at(-1);
    const timer = run.lines.findLast(({ subject }) => subject.endsWith(".timer"));
    if (timer && !isFor(timer, run.status === "waiting" ? rest?.sequence : undefined))
      judge.violate("scheduled", `is ${run.status}, and has a timer for another wait`, run);
    if (run.status !== "waiting" || !rest) continue;
    const open = [...run.waits.values()].filter(({ isOver }) => !isOver);
    const leaves = open.flatMap((wait) => wait.leaves.filter((_, i) => !wait.settled.has(i)));
    const dues = [...leaves.flatMap(({ dueAt }) => dueAt ?? []), ...run.retries.values()];
    const dueAt = Math.min(...dues);
    const stored = (kind: string): number | undefined => {
      const line = run.lines.findLast(({ subject }) => subject.endsWith(`.${kind}`));
      return line && (bodyOf(line)?.[0] as number | undefined);
    };
    if (dues.length > 0 && dueAt > judge.closedAt + SHORT_SLEEP_MS) {
      if (stored("timer") !== rest.sequence)
        judge.violate(
          "scheduled",
          `waits until ${new Date(dueAt).toISOString()}, and no timer is set for it`,
          run,
        );
    }
    const watched = leaves.some(({ kind }) => kind !== "sleep");
    if (watched && stored("wait") !== rest.sequence)
      judge.violate(
        "P3",
        `waits since ${rest.sequence}, and its registration is for ${stored("wait") ?? "nothing"}`,
        run,
      );
  }
  const { scheduled, ...parts } = count;
  judge.saw("scheduled", scheduled);
  judge.balance("scheduled", scheduled, parts);
  judge.needs("scheduled", parts.pending > 0, "a timer that is still to come");
}

/** Each suspension that needs a timer: it woke the run, something else did, or it is stored still. */
function countTimers(
  run: Run,
  count: { scheduled: number; fired: number; canceled: number; pending: number },
): void {
  const timer = run.lines.findLast(({ subject }) => subject.endsWith(".timer"));
  for (const [i, { sequence, timeMs, dueAt, entries }] of run.commits.entries()) {
    if (entries.at(-1)?.kind !== "waiting" || dueAt === undefined) continue;
    if (dueAt < timeMs + SHORT_SLEEP_MS) continue;
    count.scheduled++;
    const next = run.commits[i + 1];
    if (next?.entries.some(({ because }) => because === "timer")) count.fired++;
    else if (next) count.canceled++;
    else if (timer && bodyOf(timer)?.[0] === sequence) count.pending++;
  }
}
