/** `contrail cancel`: asks runs to end. */
import type { Command } from "commander";
import type { Client } from "../../../shared/index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { EXIT } from "../output.ts";
import { findRun, runText } from "../run-reference.ts";
import { addSelection, checkSelection, type SelectionOptions, selectAll } from "../selection.ts";

interface Options extends SelectionOptions {
  readonly terminate?: boolean;
}

const PAUSED_ADVICE =
  "It is paused: it cleans up, undoes its steps and ends if its code follows its history. If not, it stays paused until you resume it with code that does, or terminate it (--terminate), which ends it without cleanup and undos.";

/** Adds `contrail cancel`. */
export function addCancel(program: Command): void {
  const command = program
    .command("cancel")
    .summary("ask runs to end")
    .description(
      "Asks runs to end: those that are named, or with --all those that the options select. A run ends when its code has noticed, at its next wait at the latest, has cleaned up, and its steps are undone. One that has ended stays as it is. A paused run whose code does not follow its history cannot be asked: it stays paused until it is resumed with code that does, or terminated.",
    )
    .option("--terminate", "end them without asking their code: nothing is cleaned up or undone");
  addSelection(command, "open")
    .addHelpText(
      "after",
      example('cancel order-42 --reason "the customer called"', "Ends one order."),
    )
    .action((runs: string[], options: Options, self: Command) =>
      carryOut(self, (cli) => cancel(cli, runs, options)),
    );
}

async function cancel(cli: Cli, runs: readonly string[], options: Options): Promise<number> {
  checkSelection("cancel", runs, options);
  if (!options.all) return cli.withClient((client) => named(cli, client, runs, options));
  return selectAll(cli, options.terminate ? "terminate" : "cancel", options, {
    which: "open runs",
    would: "would be asked to end",
    does: "are asked to end",
  });
}

async function named(
  cli: Cli,
  client: Client,
  runs: readonly string[],
  { task, reason, terminate = false }: Options,
): Promise<number> {
  let exitCode: number = EXIT.done;
  for (const text of runs)
    try {
      const run = await findRun(client, { text, ...(task === undefined ? {} : { task }) });
      const { taskName, runId } = run;
      const { status, outcome } = (await run.view()).state;
      if (outcome === undefined) await run[terminate ? "terminate" : "cancel"](reason);
      const name = printable(runText(run));
      cli.output.note(
        outcome === undefined
          ? `${name} is asked to end.${status === "paused" && !terminate ? ` ${PAUSED_ADVICE}` : ""}`
          : `${name} has ended already: it ${status === "completed" ? status : `is ${status}`}.`,
      );
      cli.output.onlyJson({ taskName, runId, requested: outcome === undefined, status });
    } catch (error) {
      cli.output.fail(error);
      exitCode = EXIT.failed;
    }
  return exitCode;
}
