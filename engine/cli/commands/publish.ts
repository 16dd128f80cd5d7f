/** `contrail publish`: publishes an event. */
import type { Command } from "commander";
import { jsonValue } from "../arguments.ts";
import { carryOut, example } from "../command.ts";

/** Adds `contrail publish`. */
export function addPublish(program: Command): void {
  program
    .command("publish")
    .summary("publish an event that runs wait for")
    .description(
      "Publishes an event and prints its number among the events. Any NATS client can do the same: nats pub events.EVENT JSON",
    )
    .argument("<event>", "the name: words with dots between")
    .argument("[json]", 'the payload as JSON; "@file" reads a file, "-" standard input', "null")
    .addHelpText(
      "after",
      example(`publish order.approved '{"orderId":"42"}'`, "Wakes the run that waits for it."),
    )
    .action((event: string, json: string, _options: object, command: Command) =>
      carryOut(command, async (cli) => {
        const payload = jsonValue(json, `payload of event "${event}"`);
        const { sequence } = await cli.withClient((client) => client.publish(event, payload));
        cli.output.data(String(sequence), { event, sequence });
      }),
    );
}
