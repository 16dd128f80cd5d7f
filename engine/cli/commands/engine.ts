/** `contrail engine`: matches and mends. */
import type { Command } from "commander";
import { startEngine } from "../../index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { EXIT } from "../output.ts";
import { stopSignal } from "../stop-signal.ts";

/** Adds `contrail engine`. */
export function addEngine(program: Command): void {
  program
    .command("engine")
    .summary("match events and children, mend what is lost")
    .description(
      "Sets the namespace up, wakes runs that wait for events, children or a cancel, and mends what was lost. Any number may run: one leads, another takes over when it is gone. While none runs, starts, steps and sleeps go on.",
    )
    .addHelpText(
      "after",
      example("engine --server nats://host:4222", "One more engine, as a spare."),
    )
    .action((_options: object, command: Command) => carryOut(command, runEngine));
}

async function runEngine(cli: Cli): Promise<number> {
  const { output, namespace } = cli;
  const stop = stopSignal(() => output.note("Stopping. Ctrl-C again ends at once."));
  const engine = await startEngine({ ...cli.nats, namespace, log: output });
  output.data(`Engine ${engine.name} serves namespace "${namespace}".`, {
    event: "engine-ready",
    engine: engine.name,
    namespace,
  });
  await stop.requested;
  await engine.close();
  return EXIT.done;
}
