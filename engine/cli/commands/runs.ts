/** `contrail runs`: lists runs. */
import { type Command, Option } from "commander";
import {
  durationText,
  instantText,
  RUN_STATUSES,
  type RunStatus,
  type RunSummary,
} from "../../../shared/index.ts";
import { wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { isoTime, table } from "../format.ts";

const LIMIT = 50;
const HIGHEST_LIMIT = 1_000_000;

interface Options {
  readonly task?: string;
  readonly status?: RunStatus;
  readonly limit: number;
}

/** Adds `contrail runs`. */
export function addRuns(program: Command): void {
  program
    .command("runs")
    .summary("list runs, the newest first")
    .description(
      "Lists runs, the newest first. A run that holds a slot and has recorded nothing yet is listed as queued.",
    )
    .option("--task <name>", "only runs of this task")
    .addOption(new Option("--status <status>", "only runs in this status").choices(RUN_STATUSES))
    .option("--limit <count>", "so many at most", wholeNumber(1, HIGHEST_LIMIT), LIMIT)
    .addHelpText(
      "after",
      example("runs --status failed --limit 10", "The last ten runs that failed."),
    )
    .action((options: Options, command: Command) =>
      carryOut(command, (cli) => listRuns(cli, options)),
    );
}

async function listRuns(cli: Cli, { task, status, limit }: Options): Promise<void> {
  const runs = await cli.withClient((client) =>
    client.list({
      limit: limit + 1,
      ...(task === undefined ? {} : { taskName: task }),
      ...(status === undefined ? {} : { status }),
    }),
  );
  const shown = runs.slice(0, limit);
  const now = cli.clock.now();
  if (shown.length === 0) cli.output.note("There are no such runs.");
  if (shown.length > 0 || cli.options.json)
    cli.output.rows(shown, { text: (rows) => runTable(rows, now), json: runLine });
  if (runs.length > limit) cli.output.note(`There are more: these are the newest ${limit}.`);
}

function runTable(runs: readonly RunSummary[], now: number): string {
  const rows = runs.map((run) => [
    run.taskName,
    run.runId,
    run.status,
    instantText(run.startedAt),
    `${durationText(Math.max(0, now - run.changedAt))} ago`,
  ]);
  return table(["TASK", "RUN", "STATUS", "STARTED", "CHANGED"], rows);
}

function runLine({ taskName, runId, status, startedAt, changedAt, isChild }: RunSummary) {
  const times = { startedAt: isoTime(startedAt), changedAt: isoTime(changedAt) };
  return { taskName, runId, status, ...times, isChild };
}
