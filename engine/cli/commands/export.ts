/** `contrail export`: writes the history of a run to a file. */
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { historyText, InvalidInputError } from "../../../shared/index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { findRun, runText } from "../run-reference.ts";

interface Options {
  readonly task?: string;
}

/** Adds `contrail export`. */
export function addExport(program: Command): void {
  program
    .command("export")
    .summary("write the history of a run to a file")
    .description(
      'Writes the history of one run as JSON, to a file or to standard output. "contrail replay" and the test kit read it, here and elsewhere, also in later versions.',
    )
    .argument("<run>", "TASK/RUN, or the id of the run alone")
    .argument("[file]", "the file to write; an existing one is replaced")
    .option("--task <name>", "the task; the run is then an id")
    .addHelpText(
      "after",
      example("export fulfil-order/order-42 order-42.json", "Keeps what became of one order."),
    )
    .action((run: string, file: string | undefined, options: Options, command: Command) =>
      carryOut(command, (cli) => exportRun(cli, { text: run, ...options }, file)),
    );
}

async function exportRun(
  cli: Cli,
  reference: Options & { readonly text: string },
  file: string | undefined,
): Promise<void> {
  const history = await cli.withClient(async (client) =>
    (await findRun(client, reference)).history(),
  );
  const text = historyText(history);
  if (file === undefined) {
    // One object a line where that was asked for, else as it is in a file.
    cli.output.data(text.trimEnd(), JSON.parse(text) as Record<string, unknown>);
    return;
  }
  await writeFile(file, text).catch((cause: unknown) => {
    throw new InvalidInputError(
      `The file ${JSON.stringify(file)} cannot be written: ${(cause as Error).message}.`,
      { cause, file },
    );
  });
  const { taskName, runId, commits } = history;
  cli.output.onlyJson({ event: "exported", taskName, runId, file, commits: commits.length });
  cli.output.note(`The history of ${runText(history)} is in ${file}.`);
}
