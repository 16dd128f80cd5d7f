/** `contrail replay`: replays recorded histories against the code at hand. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import {
  type History,
  InvalidInputError,
  instantText,
  parseHistory,
  RUN_STATUSES,
  type RunStatus,
} from "../../../shared/index.ts";
import type { AnyTask } from "../../../shared/task.ts";
import { type ReplayVerdict, replayHistory } from "../../../worker/index.ts";
import { instantOrAgo, wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { isoTime, printable } from "../format.ts";
import { EXIT, type JsonLine } from "../output.ts";
import { runText } from "../run-reference.ts";
import { loadTasks } from "../task-files.ts";

const HIGHEST_LIMIT = 1_000_000;

interface Options {
  readonly task?: readonly string[];
  readonly since?: number;
  readonly status?: RunStatus;
  readonly limit: number;
  readonly history?: readonly string[];
}

/** Adds `contrail replay`. */
export function addReplay(program: Command): void {
  program
    .command("replay")
    .summary("replay recorded runs against the code at hand")
    .description(
      "Replays the histories of durable runs against the tasks that a file exports, and says of each whether a worker with this code could go on with it, or which recorded entry the code does not follow. Executes no step and writes nothing. Exit code 1 when a run diverges.",
    )
    .argument("<file>", "the file that exports the tasks")
    .option("--task <name...>", "only runs of these tasks")
    .option(
      "--since <time>",
      'only runs started since then: an instant, or how long ago as "7d"',
      instantOrAgo,
    )
    .addOption(new Option("--status <status>", "only runs in this status").choices(RUN_STATUSES))
    .option(
      "--limit <count>",
      "of each task so many at most, the newest",
      wholeNumber(1, HIGHEST_LIMIT),
      HIGHEST_LIMIT,
    )
    .option("--history <files...>", "exported histories, instead of the runs of the namespace")
    .addHelpText(
      "after",
      example(
        "replay tasks.ts --status waiting",
        "Before a new version is rolled out: can all waiting runs go on with it?",
      ),
    )
    .action((file: string, options: Options, command: Command) =>
      carryOut(command, (cli) => replay(cli, file, options)),
    );
}

type Counts = { [V in ReplayVerdict["verdict"]]: number };

async function replay(cli: Cli, file: string, options: Options): Promise<number> {
  const tasks = await tasksToReplay(cli, file, options);
  const counts: Counts = { same: 0, diverged: 0, skipped: 0 };
  const judge = async (history: History): Promise<void> => {
    const verdict = await replayHistory(tasks, history);
    counts[verdict.verdict]++;
    cli.output.data(verdictText(history, verdict), verdictLine(history, verdict));
  };
  if (options.history) for (const path of options.history) await judge(await readHistory(path));
  else await eachRecorded(cli, [...new Set(tasks.map(({ name }) => name))], options, judge);
  const { same, diverged, skipped } = counts;
  cli.output.note(`${same} as recorded, ${diverged} diverged, ${skipped} not replayed.`);
  return diverged > 0 ? EXIT.failed : EXIT.done;
}

async function tasksToReplay(
  cli: Cli,
  file: string,
  { task: names }: Options,
): Promise<readonly AnyTask[]> {
  const { tasks, advice } = await loadTasks([file]);
  for (const line of advice) cli.output.warn(line);
  const known = new Set(tasks.map((task) => task.name));
  for (const name of names ?? [])
    if (!known.has(name))
      throw new InvalidInputError(
        `The file ${JSON.stringify(file)} exports no task "${name}". It has ${tasks.map((task) => `"${task.name}"`).join(", ")}.`,
        { value: name },
      );
  return tasks.filter(({ name, kind }) => names?.includes(name) ?? kind === "durable");
}

async function readHistory(path: string): Promise<History> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new InvalidInputError(
      `The file ${JSON.stringify(path)} cannot be read: ${(cause as Error).message}.`,
      { cause, file: path },
    );
  });
  return parseHistory(text, `The file ${JSON.stringify(path)}`);
}

/** Calls back with the histories of the namespace's runs, one at a time. */
async function eachRecorded(
  cli: Cli,
  taskNames: readonly string[],
  { since, status, limit }: Options,
  judge: (history: History) => Promise<void>,
): Promise<void> {
  await cli.withClient(async (client) => {
    for (const taskName of taskNames) {
      const runs = await client.list({ taskName, limit, ...(status ? { status } : {}) });
      for (const { runId, startedAt } of runs)
        if (since === undefined || startedAt >= since)
          await judge(await client.get(taskName, runId).history());
    }
  });
}

function verdictText(history: History, verdict: ReplayVerdict): string {
  const run = printable(runText(history));
  switch (verdict.verdict) {
    case "same":
      return `same      ${run}${verdict.isOutputOther ? " (it returns something else now)" : ""}`;
    case "skipped":
      return `skipped   ${run}: ${printable(verdict.reason)}`;
    case "diverged": {
      const { recorded, asked, likelyCause, entry } = verdict.divergence;
      const where = entry
        ? `entry ${entry.number} (${entry.kind}, ${instantText(entry.at)}) `
        : "the history ";
      const now = asked.map((key) => `"${printable(key)}"`).join(", ") || "nothing more";
      const had = recorded === undefined ? "nothing more" : `"${printable(recorded)}"`;
      return `diverged  ${run}: ${where}has ${had}, the code asks for ${now}: ${printable(likelyCause)}`;
    }
  }
}

function verdictLine({ taskName, runId }: History, verdict: ReplayVerdict): JsonLine {
  if (verdict.verdict !== "diverged") return { taskName, runId, ...verdict };
  const { entry, ...divergence } = verdict.divergence;
  const shown = entry ? { entry: { ...entry, at: isoTime(entry.at) } } : {};
  return { taskName, runId, verdict: verdict.verdict, ...divergence, ...shown };
}
