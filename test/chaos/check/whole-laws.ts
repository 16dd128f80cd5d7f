/** Laws about all runs together: what clients were told, what is stored, who ended, what went on. */
import { groupBy } from "./directory.ts";
import { type Facts, type Findings, isSame, nameOf } from "./facts.ts";
import { has } from "./history.ts";
import { records, work } from "./slot-laws.ts";

/** So long a time without an engine shows something. */
const WINDOW_MS = 5_000;

/** How runs are that have not ended. */
const OPEN = ["queued", "waiting", "running", "paused"];

/** An event is stored as often as it was acknowledged, and no more often than it was sent. */
function* publications({ events, evidence: { told, spans } }: Facts): Findings {
  const stored = groupBy(events, ({ name, payload }) => JSON.stringify([name, payload]));
  const calls = told.filter(({ op, edge }) => op === "publish" && edge !== "failed");
  const sent = groupBy(calls, (call) => JSON.stringify([call.eventName, call.payload]));
  const replays = spans.filter(({ kind }) => kind === "replay-events");
  const replayed = replays.flatMap(({ detail }) => detail?.sequences ?? []);
  const repeats = spans.filter(({ kind }) => kind === "repeat-writes-client");
  for (const [event, all] of sent) {
    const copies = stored.get(event) ?? [];
    const ok = all.filter(({ edge }) => edge === "ok").length;
    const twice = all.filter(({ process, invokedAt, at }) =>
      repeats.some((r) => process.startsWith(r.target) && r.from <= at && r.to >= invokedAt),
    );
    const again = replayed.filter((each) => copies.some(({ sequence }) => sequence === each));
    const is = `is stored ${copies.length} times; ${ok} of ${all.length} calls succeeded`;
    yield ["P8"];
    if (copies.length < ok || copies.length > all.length + twice.length + again.length)
      yield ["P8", `event ${event} ${is}`];
  }
}

/** What a client was told is what the log says. */
function* answers(facts: Facts): Findings {
  for (const told of facts.evidence.told) {
    const { op, edge, key, runId, payload, value, error } = told;
    const run = facts.all.get(nameOf(told));
    if (edge === "unknown" || facts.excused.has(run?.name ?? "")) continue;
    const isOk = edge === "ok";
    if (op === "start" && isOk && key !== "bad") {
      yield ["P8"];
      if (!run?.starts[0]) yield ["P8", `start of ${nameOf(told)} is lost`];
      else if (!isSame(run.input, payload))
        yield ["P1", "was started by two clients with two inputs", run];
    } else if ((op === "cancel" || op === "terminate") && isOk) {
      yield ["P8"];
      if (!run?.last("cancel")) yield ["P8", `the request to ${op} ${runId} is lost`, run];
    } else if (op === "result") {
      yield ["P8"];
      const isTold = run?.ends.some(({ outcome: { status, output } }) => {
        if (edge !== "ok") return status !== "completed";
        return status === "completed" && isSame(output, value?.output);
      });
      const end = JSON.stringify(value ?? error);
      if (!isTold) yield ["P8", `ended otherwise than its client was told: ${end}`, run];
    }
  }
}

/** What was seen to be stored is stored, but a cancellation, of which the last one counts. */
function* storage({ evidence: { live, dump, faults, summary } }: Facts): Findings {
  for (const [stream, lines] of live) {
    const isEvents = stream === `${summary.namespace}_EVENTS`;
    if (!isEvents && !/_LOG_\d+$/.test(stream)) continue;
    const edits = faults.filter(({ family, target }) => family === "edit" && target === stream);
    const edited = edits.flatMap(({ detail }) => detail?.sequences ?? []);
    const kept = new Set(edited.concat(dump.get(stream)?.map(({ sequence }) => sequence) ?? []));
    for (const { sequence, subject } of lines) {
      if (!isEvents && !/\.(start|ready|h|c|cancel)$/.test(subject)) continue;
      yield ["P8"];
      if (!kept.has(sequence) && !subject.endsWith(".cancel"))
        yield ["P8", `message ${sequence} of ${stream} on ${subject} is gone`];
    }
  }
}

/** Bad input is refused with a code, and no worker or engine ends by itself. */
function* badInput({ evidence: { told, lives } }: Facts): Findings {
  for (const { op, edge, error, id, key } of told) {
    if (key !== "bad") continue;
    yield ["P9"];
    if (edge !== "failed" || !error?.code)
      yield ["P9", `bad input of ${op} ${id} got ${edge} and ${JSON.stringify(error)}`];
  }
  for (const { process, role, isReady, expected, code } of lives) // who cannot even begin says why
    if (isReady && code && !expected && /worker|engine/.test(role))
      yield ["P9", `${process} ended by itself with code ${code}`];
}

/** Without an engine runs start, do steps, are woken by timers and end. */
function* withoutEngine(facts: Facts): Findings {
  for (const [from, to] of windowsWithoutEngine(facts)) {
    const isIn = (at = 0): boolean => at > from && at < to;
    const begun = facts.runs.filter(({ starts }) => isIn(starts[0]?.timeMs));
    const ended = begun.filter(({ ends }) => isIn(ends[0]?.timeMs));
    const commits = facts.runs.flatMap((run) => run.commits.filter(({ timeMs }) => isIn(timeMs)));
    const hasSteps = commits.some((commit) => has(commit, "step-completed"));
    const isWoken = commits.some(({ entries }) => entries.some((e) => e.because === "timer"));
    if (hasSteps && isWoken) yield* ended.map(() => ["P10"] as const);
    const early = begun.find(({ starts }) => (starts[0]?.timeMs ?? 0) < to - WINDOW_MS);
    const broken = facts
      .during(from - WINDOW_MS, to)
      .filter(({ target }) => !/engine/.test(target));
    if (early && commits.length === 0 && broken.length === 0)
      yield ["P10", `nothing went on for ${Math.round(to - from)} ms without an engine`, early];
  }
}

function windowsWithoutEngine({ evidence: { lives, summary } }: Facts): [number, number][] {
  const windows: [number, number][] = [];
  let emptyAt = summary.startedAt;
  for (const { from, to } of lives.filter(({ role }) => role === "engine")) {
    if (from - emptyAt >= WINDOW_MS) windows.push([emptyAt, from]);
    emptyAt = Math.max(emptyAt, to);
  }
  return windows;
}

/** The list of runs has none that nobody has started. */
function* list({ listed, runs, excused }: Facts): Findings {
  const names = new Set(runs.map(({ name }) => name));
  for (const [name, { status }] of listed) {
    if (excused.has(name)) continue;
    yield [`accepted ${OPEN.includes(status) ? status : "ended"}`];
    if (!names.has(name)) yield ["accepted", `${name} is in the list, and nobody has started it`];
  }
}

/** The laws about all runs together. */
export const WHOLE_LAWS: readonly ((facts: Facts) => Findings)[] = [
  ...[publications, answers, storage, badInput, withoutEngine, list, work, records],
];
