/** Tells verdicts, and each violation by the smallest run that shows it, as a timeline. */
import type { Run } from "./history.ts";
import { groupBy, type Judge, RULES, type Violation } from "./judge.ts";
import { bodyOf, entriesOf, type Line } from "./wire.ts";

const SHOWN_LINES = 80;

/** The whole report as text. */
export function report(judge: Judge): string {
  const { summary, path } = judge.evidence;
  const { runs } = judge;
  const lines = [
    `Chaos run of seed ${summary.seed} on ${summary.topology}, ${summary.ended}: ${runs.length} runs, ${judge.told.length} operations, ${judge.evidence.effects.length} effects, ${judge.evidence.faults.length} lines of faults.`,
  ];
  for (const { rule, verdict } of judge.verdicts()) {
    const missing = judge.unknown.get(rule)?.join(", ") ?? "nothing that could show it";
    const balance = judge.balances.get(rule);
    const seen = `${judge.facts.get(rule) ?? 0} facts${balance ? `; ${balance}` : ""}`;
    const count = judge.violations.filter((found) => found.rule === rule).length;
    const why = { held: seen, violated: `${count} times`, "not known": `not seen: ${missing}` };
    lines.push(`${rule.padEnd(10)} ${verdict.padEnd(9)} ${RULES[rule]} (${why[verdict]})`);
  }
  lines.push("", ...faultLines(judge));
  const groups = groupBy(
    judge.violations,
    ({ rule, text }) => `${rule} ${text.replace(/[0-9]+/g, "#").slice(0, 40)}`,
  );
  for (const group of groups.values()) {
    const found = group.reduce((least, each) => (sizeOf(each) < sizeOf(least) ? each : least));
    lines.push(
      "",
      `${found.rule} is violated${group.length > 1 ? ` (and ${group.length - 1} times more like this)` : ""}: ${found.run?.name ?? ""} ${found.text}`,
    );
    if (found.run) lines.push(...timeline(judge, found.run));
  }
  if (judge.violations.length > 0)
    lines.push(
      "",
      `To repeat: ${summary.command ?? `npm run chaos -- --topology ${summary.topology} --minutes ${summary.minutes} --seed ${summary.seed} --faults ${summary.faults.join(",")} --network ${summary.network ?? "auto"}`}`,
      `To judge again: npm run chaos:check ${path}`,
    );
  return `${lines.join("\n")}\n`;
}

/** How often each fault was done, and which could not be done or undone. */
function faultLines({ evidence, spans }: Judge): string[] {
  const counts = [...groupBy(spans, ({ kind }) => kind)].map(
    ([kind, each]) => `${kind} ${each.length}`,
  );
  const failed = evidence.faults.filter(
    ({ edge, detail }) => edge === "failed" || (edge === "end" && detail?.failed !== undefined),
  );
  return [
    `Faults: ${spans.length}: ${counts.toSorted().join(", ")}`,
    ...failed.map(({ kind, detail }) => `Not done: ${kind}: ${JSON.stringify(detail)}`),
  ];
}

function sizeOf({ run }: Violation): number {
  return run ? run.lines.length : 0;
}

/** What happened to a run, in the order of the machine's clock. */
function timeline({ evidence, effects }: Judge, run: Run): string[] {
  const from = (run.starts[0]?.timeMs ?? 0) - 1_000;
  const to = (run.lines.at(-1)?.timeMs ?? 0) + 10_000;
  const rows: [at: number, text: string][] = [
    ...run.lines.map((line): [number, string] => [line.timeMs, messageText(line)]),
    ...(effects.get(run.name) ?? []).map((e): [number, string] => [
      e.at,
      `  ${e.process} ${e.phase}s "${e.step}", attempt ${e.attempt}${e.token ? `, token ${Number(e.token)}` : ""}`,
    ]),
    ...evidence.faults
      .filter(({ at }) => at > from && at < to)
      .map((f): [number, string] => [f.at, `    fault ${f.edge}s: ${f.kind} of ${f.target}`]),
    ...evidence.operations
      .filter((o) => `${o.taskName}/${o.runId}` === run.name)
      .map((o): [number, string] => [o.at, `  client: ${o.op} ${o.edge}`]),
  ];
  const shown = rows
    .sort((a, b) => a[0] - b[0])
    .map(([at, text]) => `  ${((at - from - 1_000) / 1_000).toFixed(3).padStart(9)} s  ${text}`);
  if (shown.length <= SHOWN_LINES) return shown;
  return [
    ...shown.slice(0, SHOWN_LINES / 2),
    `  ... ${shown.length - SHOWN_LINES} lines`,
    ...shown.slice(-SHOWN_LINES / 2),
  ];
}

function messageText(line: Line): string {
  const kind = line.subject.slice(line.subject.lastIndexOf(".") + 1);
  const body = bodyOf(line);
  if (kind !== "h" && kind !== "c")
    return `${line.sequence} ${kind}${kind === "ready" || kind === "wait" || kind === "timer" ? ` answers ${String(body?.[0])}` : ""}`;
  try {
    const entries = entriesOf(body?.[4]).map((e) =>
      [e.kind, e.because, e.key, e.outcome?.status].filter(Boolean).join(" "),
    );
    return `${line.sequence} ${kind} by ${String(body?.[1])} with token ${String(body?.[2])}: ${entries.join("; ")}`;
  } catch {
    return `${line.sequence} ${kind} that cannot be read`;
  }
}
