/** `contrail show`: a run's timeline, what it waits for, and how it ended. */
import type { Command } from "commander";
import {
  durationText,
  type PendingWait,
  pauseText,
  pendingWaits,
  type RunView,
  relativeText,
  type TimelineRow,
  timelineOf,
} from "../../../shared/index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { isoTime, jsonText, printable, shorten, table } from "../format.ts";
import { findRun, runText } from "../run-reference.ts";

/** Longest input or output that is printed as text. `--json` has all of it. */
const VALUE_LENGTH = 2_000;

interface Options {
  readonly task?: string;
}

/** Adds `contrail show`. */
export function addShow(program: Command): void {
  program
    .command("show")
    .summary("show what a run did, where, and what it waits for")
    .description(
      'Shows a run: each pass with its worker and the pool of its slot, steps, waits, evictions and resumes, then what it still waits for. ENTRY counts the entries of its history as "contrail fork --entries" and "contrail replay" do.',
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .option("--task <name>", "the task; the run is then an id")
    .addHelpText("after", example("show fulfil-order/order-42", "What became of one order."))
    .action((run: string, options: Options, command: Command) =>
      carryOut(command, (cli) => show(cli, { text: run, ...options })),
    );
}

async function show(cli: Cli, reference: Options & { readonly text: string }): Promise<void> {
  const view = await cli.withClient(async (client) => (await findRun(client, reference)).view());
  const rows = timelineOf(view);
  const pending = pendingWaits(view, cli.clock.now());
  cli.output.data(viewText(view, rows, pending, cli.clock.now()), viewLine(view, rows, pending));
}

function viewText(
  view: RunView,
  rows: readonly TimelineRow[],
  pending: readonly PendingWait[],
  now: number,
): string {
  const { state } = view;
  const parts = [
    `run      ${printable(runText(view))}`,
    `status   ${state.status} since ${relativeText(state.changedAt, now)}`,
    `started  ${relativeText(view.startedAt, now)} by ${printable(view.startedBy)}`,
    `input    ${valueText(view.input)}`,
    ...(state.paused ? [`paused   ${printable(pauseText(view))}`] : []),
    "",
    timelineTable(view, rows),
  ];
  if (pending.length > 0) parts.push("");
  for (const { text, since } of pending)
    parts.push(`waits    since ${relativeText(since, now)} for ${printable(text)}`);
  const { outcome } = state;
  if (outcome?.status === "completed") parts.push("", `output   ${valueText(outcome.output)}`);
  return parts.join("\n");
}

function timelineTable(view: RunView, rows: readonly TimelineRow[]): string {
  let lastPass = 0;
  const cells = rows.map((row) => {
    const isNew = row.pass !== lastPass && row.pass > 0;
    lastPass = row.pass > 0 ? row.pass : lastPass;
    return [
      row.entry === undefined ? "" : String(row.entry),
      `+${durationText(Math.max(0, row.at - view.startedAt))}`,
      isNew ? String(row.pass) : "",
      isNew ? (row.worker ?? "unknown") : "",
      isNew ? (row.pool ?? "unknown") : "",
      row.durationMs === undefined ? "" : durationText(row.durationMs),
      row.attempts === undefined ? "" : String(row.attempts),
      row.text,
    ];
  });
  return table(["ENTRY", "WHEN", "PASS", "WORKER", "SLOT", "TOOK", "TRIES", "WHAT"], cells);
}

function viewLine(view: RunView, rows: readonly TimelineRow[], pending: readonly PendingWait[]) {
  const { state, cancelRequest } = view;
  return {
    taskName: view.taskName,
    runId: view.runId,
    status: state.status,
    startedAt: isoTime(view.startedAt),
    changedAt: isoTime(state.changedAt),
    startedBy: view.startedBy,
    parent: view.parent ? { taskName: view.parent.taskName, runId: view.parent.runId } : undefined,
    input: view.input,
    cancelRequest: cancelRequest && { ...cancelRequest, at: isoTime(cancelRequest.at) },
    paused: state.paused,
    timeline: rows.map((row) => ({ ...row, at: isoTime(row.at) })),
    waits: pending.map(({ key, since, text, dueAt }) => ({
      key,
      text,
      since: isoTime(since),
      dueAt: dueAt === undefined ? undefined : isoTime(dueAt),
    })),
    ...state.outcome,
  };
}

function valueText(value: unknown): string {
  return shorten(jsonText(value), VALUE_LENGTH);
}
