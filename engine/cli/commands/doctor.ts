/** `contrail doctor`: examines server and namespace. */
import type { Command } from "commander";
import type { NatsOptions } from "../../../shared/index.ts";
import { examine, type Finding, type Verdict } from "../../index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { EXIT } from "../output.ts";

const SIGNS: { readonly [V in Verdict]: string } = {
  ok: "ok",
  note: "note",
  unknown: "unknown",
  problem: "PROBLEM",
};

interface Options {
  readonly runs?: boolean;
  readonly monitor?: readonly string[];
  readonly systemUser?: string;
  readonly systemPassword?: string;
  readonly systemCreds?: string;
}

/** Adds `contrail doctor`. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .summary("examine the server and everything on it")
    .description(
      "Examines the server and its limits, what a loss of power would cost, streams and consumers field by field, engines, workers and clocks. Changes nothing. Exit code 1 when there is a problem.",
    )
    .option("--runs", "also prove for every live run that something will wake it")
    .option("--monitor <url...>", "monitoring ports of the servers, such as http://host:8222")
    .option("--system-user <name>", "a user of the system account, who sees how servers are set")
    .option("--system-password <text>", "password of that user")
    .option("--system-creds <file>", "credentials file of such a user")
    .addHelpText(
      "after",
      example("doctor --monitor http://127.0.0.1:8222", "All that can be known."),
    )
    .action((options: Options, command: Command) =>
      carryOut(command, (cli) => doctor(cli, options)),
    );
}

async function doctor(cli: Cli, options: Options): Promise<number> {
  const system = systemUser(options);
  const findings = await examine({
    ...cli.nats,
    namespace: cli.namespace,
    runs: options.runs === true,
    ...(options.monitor === undefined ? {} : { monitors: options.monitor }),
    ...(system === undefined ? {} : { system }),
  });
  cli.output.rows(findings, { text: findingsText, json: (finding) => ({ ...finding }) });
  const problems = findings.filter(({ verdict }) => verdict === "problem").length;
  if (problems === 0) cli.output.note("No problem was found.");
  else
    cli.output.note(problems === 1 ? "One problem was found." : `${problems} problems were found.`);
  return problems === 0 ? EXIT.done : EXIT.failed;
}

function systemUser(options: Options): Omit<NatsOptions, "servers"> | undefined {
  const { systemUser: user, systemPassword: pass = "", systemCreds: credsFile } = options;
  if (credsFile !== undefined) return { credsFile };
  return user === undefined ? undefined : { user, pass };
}

function findingsText(findings: readonly Finding[]): string {
  return findings
    .map(({ verdict, message }) => `${SIGNS[verdict].padEnd(8)} ${printable(message)}`)
    .join("\n");
}
