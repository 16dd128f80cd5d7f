/** Tells verdicts, and each violation by the smallest run that shows it, as a timeline. */
import { groupBy } from "./directory.ts";
import type { Facts } from "./facts.ts";
import type { Run } from "./history.ts";
import { type Judge, RULES, type Violation } from "./judgment.ts";
import { entriesOf, type Message } from "./wire.ts";

const SHOWN_LINES = 80;

/** The whole report as text. */
export function report(judge: Judge): string {
  const { runs, evidence } = judge.facts;
  const { summary, path, told, effects, faults } = evidence;
  const lines = [
    `Chaos run of seed ${summary.seed} on ${summary.topology}, ${summary.ended}: ${runs.length} runs, ${told.length} operations, ${effects.length} effects, ${faults.length} lines of faults.`,
  ];
  for (const { rule, verdict } of judge.verdicts()) {
    const missing = judge.unknown.get(rule)?.join(", ") ?? "nothing that could show it";
    const balance = judge.balances.get(rule);
    const seen = `${judge.count(rule)} facts${balance ? `; ${balance}` : ""}`;
    const count = judge.violations.filter((found) => found.rule === rule).length;
    const why = { held: seen, violated: `${count} times`, "not known": `not seen: ${missing}` };
    lines.push(`${rule.padEnd(10)} ${verdict.padEnd(9)} ${RULES[rule]} (${why[verdict]})`);
  }
  lines.push("", ...faultLines(judge.facts));
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
    if (found.run) lines.push(...timeline(judge.facts, found.run));
  }
  if (judge.violations.length > 0)
    lines.push(
      "",
      `To repeat: ${summary.command ?? `npm run chaos -- --topology ${summary.topology} --minutes ${summary.minutes} --seed ${summary.seed} --faults ${summary.faults.join(",")} --network ${summary.network ?? "auto"}`}`,
      `To judge again: npm run chaos:check ${path}`,
    );
  return `${lines.join("\n")}\n`;
}

/** How often each fault was done, which could not be done or undone, and what a server did wrong. */
function faultLines({ evidence, unguarded }: Facts): string[] {
  const counts = [...groupBy(evidence.spans, ({ kind }) => kind)].map(
    ([kind, each]) => `${kind} ${each.length}`,
  );
  const failed = evidence.faults.filter(
    ({ edge, detail }) => edge === "failed" || (edge === "end" && detail?.failed !== undefined),
  );
  return [
    `Faults: ${evidence.spans.length}: ${counts.toSorted().join(", ")}`,
    ...failed.map(({ kind, detail }) => `Not done: ${kind}: ${JSON.stringify(detail)}`),
    ...unguarded.map(
      ({ sequence, subject }) =>
        `Not judged: the run of ${subject}: a server whose disk was full stored message ${sequence} against its guard.`,
    ),
  ];
}

function sizeOf({ run }: Violation): number {
  return run ? run.messages.length : 0;
}

/** What happened to a run, in the order of the machine's clock. */
function timeline({ evidence, effects }: Facts, run: Run): string[] {
  const from = (run.starts[0]?.timeMs ?? 0) - 1_000;
  const to = (run.messages.at(-1)?.timeMs ?? 0) + 10_000;
  const rows: [at: number, text: string][] = [
    ...run.messages.map((each): [number, string] => [each.timeMs, messageText(each)]),
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

function messageText({ sequence, kind, body }: Message): string {
  const answers = ["ready", "wait", "timer"].includes(kind) ? ` answers ${String(body?.[0])}` : "";
  if (kind !== "h" && kind !== "c") return `${sequence} ${kind}${answers}`;
  try {
    const entries = entriesOf(body?.[4]).map((e) =>
      [e.kind, e.because, e.key, e.outcome?.status].filter(Boolean).join(" "),
    );
    return `${sequence} ${kind} by ${String(body?.[1])} with token ${String(body?.[2])}: ${entries.join("; ")}`;
  } catch {
    return `${sequence} ${kind} that cannot be read`;
  }
}
