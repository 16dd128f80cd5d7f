/** `contrail why`: one sentence about where a run stands. */
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { isoTime, printable } from "../format.ts";
import { findRun } from "../run-reference.ts";

interface Options {
  readonly task?: string;
}

/** Adds `contrail why`. */
export function addWhy(program: Command): void {
  program
    .command("why")
    .summary("say in one sentence what a run waits for")
    .description(
      "Says in one sentence what a run waits for, since when, and what will wake it; or which worker holds its slot; or how it ended, or why it is paused.",
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .option("--task <name>", "the task; the run is then an id")
    .addHelpText("after", example("why order-42", "Who or what this order waits for."))
    .action((run: string, options: Options, command: Command) =>
      carryOut(command, (cli) => why(cli, { text: run, ...options })),
    );
}

async function why(cli: Cli, reference: Options & { readonly text: string }): Promise<void> {
  await cli.withClient(async (client) => {
    const run = await findRun(client, reference);
    const { status, since, sentence } = await run.why();
    const { taskName, runId } = run;
    const line = { taskName, runId, status, since: isoTime(since), why: sentence };
    cli.output.data(printable(sentence), line);
  });
}
