/** `contrail cancel`: asks a run to end. */
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { findRun, runText } from "../run-reference.ts";

interface Options {
  readonly task?: string;
  readonly reason?: string;
}

/** Adds `contrail cancel`. */
export function addCancel(program: Command): void {
  program
    .command("cancel")
    .summary("ask a run to end")
    .description(
      "Asks a run to end. It ends when its code has noticed: at its next wait at the latest. A run that has ended stays as it is.",
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .option("--task <name>", "the task; the run is then an id")
    .option("--reason <text>", "why; the run's history and its error say so")
    .addHelpText(
      "after",
      example('cancel order-42 --reason "the customer called"', "Ends one order."),
    )
    .action((run: string, options: Options, command: Command) =>
      carryOut(command, (cli) => cancel(cli, { text: run, ...options })),
    );
}

async function cancel(cli: Cli, options: Options & { readonly text: string }): Promise<void> {
  await cli.withClient(async (client) => {
    const run = await findRun(client, options);
    const { taskName, runId } = run;
    const { status, outcome } = (await run.view()).state;
    if (outcome === undefined) await run.cancel(options.reason);
    cli.output.note(
      outcome === undefined
        ? `${printable(runText(run))} is asked to end.`
        : `${printable(runText(run))} has ended already: it ${status === "completed" ? status : `is ${status}`}.`,
    );
    cli.output.onlyJson({ taskName, runId, requested: outcome === undefined, status });
  });
}
