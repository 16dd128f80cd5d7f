/** `contrail mirror`: copies that keep what is erased, and the way back. */
import type { Command } from "commander";
import { type Mirrored, makeMirrors, restoreFromMirrors } from "../../index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";

/** Adds `contrail mirror`. */
export function addMirror(program: Command): void {
  program
    .command("mirror")
    .summary("keep a copy of the log that nobody erases by accident")
    .description(
      "Makes a mirror of every stream that holds runs, events or large values, and says how much each holds. A mirror keeps what is purged, rolled up or deleted in its stream, and grows for ever. With --restore the streams become again what their mirrors are: stop engines, workers and clients first.",
    )
    .option("--restore", "make the streams again what their mirrors are")
    .addHelpText("after", example("mirror --restore", "The log was erased: bring it back."))
    .action((options: { readonly restore?: boolean }, command: Command) =>
      carryOut(command, (cli) => mirror(cli, options.restore === true)),
    );
}

async function mirror(cli: Cli, isRestore: boolean): Promise<void> {
  const options = { ...cli.nats, namespace: cli.namespace };
  const streams = await (isRestore ? restoreFromMirrors(options) : makeMirrors(options));
  cli.output.rows(streams, {
    text: (rows) => rows.map((row) => mirroredText(row, isRestore)).join("\n"),
    json: (row) => ({ ...row }),
  });
}

function mirroredText({ stream, mirror, messages }: Mirrored, isRestore: boolean): string {
  return isRestore
    ? `${stream} is restored; ${mirror} is being made anew.`
    : `${mirror} mirrors ${stream}, and holds ${messages} messages.`;
}
