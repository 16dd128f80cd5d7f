/** `contrail resume`, `contrail retry` and `contrail skip`: repair runs that stand still. */
import type { Command } from "commander";
import type { Client } from "../../../shared/index.ts";
import { jsonValue } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { EXIT } from "../output.ts";
import { findRun, runText } from "../run-reference.ts";
import { addSelection, checkSelection, type SelectionOptions, selectAll } from "../selection.ts";

type Action = "resume" | "retry";

interface Options extends SelectionOptions {
  readonly from?: string;
}

const WHICH = { resume: "paused", retry: "failed" } as const;

/** Adds `contrail resume`. */
export function addResume(program: Command): void {
  const command = program
    .command("resume")
    .summary("let paused runs go on")
    .description(
      "Lets paused runs go on from their last checkpoint: those that are named, or with --all those that the options select.",
    );
  select(command, "resume");
  const text = example(
    'resume --all --task fulfil-order --because "replayed differently" --dry-run',
    "Counts the orders that the changed code could not go on with.",
  );
  command.addHelpText("after", text);
}

/** Adds `contrail retry`. */
export function addRetry(program: Command): void {
  const command = program
    .command("retry")
    .summary("let failed runs go on from their failed step")
    .description(
      "Reopens failed runs under their ids. What was recorded before the failed step is kept; steps that were undone are done again.",
    )
    .option("--from <step>", "the step to go back to; by default the one that failed the run");
  select(command, "retry");
  const text = example("retry --all --since 2h", "Retries what failed in the last two hours.");
  command.addHelpText("after", text);
}

function select(command: Command, action: Action): void {
  addSelection(command, WHICH[action]).action((runs: string[], options: Options, self: Command) =>
    carryOut(self, (cli) => repair(cli, action, runs, options)),
  );
}

async function repair(
  cli: Cli,
  action: Action,
  runs: readonly string[],
  options: Options,
): Promise<number> {
  checkSelection(action, runs, options);
  if (!options.all) return cli.withClient((client) => named(cli, client, action, runs, options));
  return selectAll(cli, action, options, {
    which: `${WHICH[action]} runs`,
    would: "would be asked to go on",
    does: "go on as soon as workers take them",
  });
}

async function named(
  cli: Cli,
  client: Client,
  action: Action,
  runs: readonly string[],
  { task, reason = "", from }: Options,
): Promise<number> {
  let exitCode: number = EXIT.done;
  for (const text of runs)
    try {
      const run = await findRun(client, { text, ...(task === undefined ? {} : { task }) });
      if (action === "resume") await run.resume({ reason });
      else await run.retry({ reason, ...(from === undefined ? {} : { from }) });
      cli.output.note(`${printable(runText(run))} goes on as soon as a worker takes it.`);
      cli.output.onlyJson({ taskName: run.taskName, runId: run.runId, requested: true });
    } catch (error) {
      cli.output.fail(error);
      exitCode = EXIT.failed;
    }
  return exitCode;
}

interface SkipOptions {
  readonly task?: string;
  readonly reason?: string;
}

/** Adds `contrail skip`. */
export function addSkip(program: Command): void {
  program
    .command("skip")
    .summary("give a step a result instead of executing it")
    .description(
      "Gives a step of a paused, waiting or failed run a result. The run goes on with it; the step is not executed.",
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .argument("<step>", 'the step\'s name, or its key, such as "s1 charge" for the second "charge"')
    .argument("[result]", 'the result as JSON; "@file" reads a file, "-" standard input', "null")
    .option("--task <name>", "the task; the run is then an id")
    .option("--reason <text>", "why; the history says so")
    .addHelpText(
      "after",
      example(`skip order-42 charge '{"paid":"in cash"}'`, "Goes on as if the step returned that."),
    )
    .action((run: string, step: string, result: string, options: SkipOptions, command: Command) =>
      carryOut(command, (cli) => skip(cli, { text: run, ...options }, step, result)),
    );
}

async function skip(
  cli: Cli,
  { reason = "", ...which }: SkipOptions & { readonly text: string },
  step: string,
  result: string,
): Promise<void> {
  const value = jsonValue(result, "result");
  await cli.withClient(async (client) => {
    const run = await findRun(client, which);
    await run.skip(step, value, { reason });
    cli.output.note(`${printable(runText(run))} goes on as soon as a worker takes it.`);
    cli.output.onlyJson({ taskName: run.taskName, runId: run.runId, requested: true });
  });
}
