/** `contrail fork`: starts a run with the recorded results of another one. */
import type { Command } from "commander";
import { InvalidInputError } from "../../../shared/index.ts";
import { jsonValue, wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { findRun, runText } from "../run-reference.ts";

const MOST_ENTRIES = 1_000_000_000;

interface Options {
  readonly task?: string;
  readonly id?: string;
  readonly entries?: number;
  readonly input?: string;
  readonly results?: string;
  readonly reason?: string;
}

/** Adds `contrail fork`. */
export function addFork(program: Command): void {
  program
    .command("fork")
    .summary("start a run that has the recorded results of another one")
    .description(
      "Starts a run of the same task that goes on where another one was, under a new id. The other one stays as it is.",
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .option("--task <name>", "the task; the run is then an id")
    .option("--id <id>", "the id of the new run; by default a random one")
    .option(
      "--entries <count>",
      'keep so many entries of the history, up to the one that "contrail show" gives this number; 0 keeps none; by default what a retry keeps, or all before the end',
      wholeNumber(0, MOST_ENTRIES),
    )
    .option("--input <json>", "another input; @file reads a file")
    .option("--results <json>", "other results of steps: an object by their names or keys")
    .option("--reason <text>", "why; the history says so")
    .addHelpText(
      "after",
      example(
        'fork order-42 --id order-42-b --results \'{"charge":"paid"}\'',
        "Goes on with another result of a step.",
      ),
    )
    .action((run: string, options: Options, command: Command) =>
      carryOut(command, (cli) => fork(cli, { text: run, ...options })),
    );
}

async function fork(cli: Cli, options: Options & { readonly text: string }): Promise<void> {
  const { id, entries, input, results, reason = "" } = options;
  const given = {
    reason,
    ...(id === undefined ? {} : { id }),
    ...(entries === undefined ? {} : { entries }),
    ...(input === undefined ? {} : { input: jsonValue(input, "input") }),
    ...(results === undefined ? {} : { results: fieldsOf(results) }),
  };
  await cli.withClient(async (client) => {
    const run = await (await findRun(client, options)).fork(given);
    const { taskName, runId } = run;
    cli.output.data(printable(runText(run)), { taskName, runId });
  });
}

function fieldsOf(text: string): Record<string, unknown> {
  const value = jsonValue(text, "results");
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new InvalidInputError(`The results are not a JSON object by the names of steps.`, {
    value,
  });
}
