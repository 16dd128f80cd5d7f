#!/usr/bin/env node
/**
 * The `contrail` command. Exit code 0: done. 1: failed, or a run that was waited for failed, or
 * `doctor` found a problem, or a run diverged in `replay`. 2: wrong usage. 130: interrupted before it was done.
 */
import { Command, CommanderError, Option } from "commander";
import { InvalidInputError } from "../../shared/index.ts";
import { VERSION } from "../index.ts";
import type { AddCommand } from "./command.ts";
import { addCancel } from "./commands/cancel.ts";
import { addDev } from "./commands/dev.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEngine } from "./commands/engine.ts";
import { addExport } from "./commands/export.ts";
import { addFork } from "./commands/fork.ts";
import { addPublish } from "./commands/publish.ts";
import { addResume, addRetry, addSkip } from "./commands/repairs.ts";
import { addReplay } from "./commands/replay.ts";
import { addRuns } from "./commands/runs.ts";
import { addSetup } from "./commands/setup.ts";
import { addShow } from "./commands/show.ts";
import { addSlots } from "./commands/slots.ts";
import { addStart } from "./commands/start.ts";
import { addWhy } from "./commands/why.ts";
import { addWorker } from "./commands/worker.ts";
import { describeError, EXIT, Output } from "./output.ts";

const COMMANDS: readonly AddCommand[] = [
  addDev,
  addEngine,
  addWorker,
  addStart,
  addRuns,
  addShow,
  addWhy,
  addCancel,
  addResume,
  addRetry,
  addSkip,
  addFork,
  addPublish,
  addExport,
  addReplay,
  addSlots,
  addSetup,
  addDoctor,
];

const INTRODUCTION = `Runs durable workflows on NATS JetStream. A task is a function in a file of yours: "contrail dev FILE" runs it here, with a server of its own. In another terminal "contrail start TASK" starts a run, "contrail runs" lists runs, "contrail show RUN" and "contrail why RUN" tell what became of one.`;

function program(): Command {
  const made = new Command("contrail")
    .description(INTRODUCTION)
    .usage("COMMAND [options]")
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [COMMAND]", "print the help of a command")
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // told below, in one form for all errors
    .configureHelp({ showGlobalOptions: false })
    .addHelpText("after", '\n"contrail help COMMAND" has the options of a command and an example.');
  for (const option of globalOptions()) made.addOption(option);
  for (const add of COMMANDS) add(made);
  for (const command of made.commands)
    command.addHelpText("after", '\nOptions of all commands: "contrail --help".');
  return made;
}

function globalOptions(): Option[] {
  const connection = [
    new Option("-s, --server <url>", "the NATS server; several with commas").env("NATS_URL"),
    new Option("-n, --namespace <name>", "which namespace on that server")
      .env("CONTRAIL_NAMESPACE")
      .default("contrail"),
    new Option("--creds <file>", "credentials file of a user").env("NATS_CREDS"),
    new Option("--user <name>", "user name").env("NATS_USER"),
    new Option("--password <text>", "password").env("NATS_PASSWORD"),
    new Option("--token <text>", "token").env("NATS_TOKEN"),
    new Option("--nkey <file>", "file with the seed of an nkey").env("NATS_NKEY"),
    new Option("--inbox-prefix <tokens>", "where replies may come, if not to _INBOX").env(
      "NATS_INBOX_PREFIX",
    ),
    new Option("--tls-ca <file>", "whom to trust with TLS").env("NATS_CA"),
    new Option("--tls-cert <file>", "certificate of this client").env("NATS_CERT"),
    new Option("--tls-key <file>", "key of this client").env("NATS_KEY"),
  ];
  return [
    new Option("--json", "print one JSON object a line"),
    new Option("-q, --quiet", "print data, warnings and errors only"),
    new Option("--debug", "print errors with their stacks, and debug lines"),
    ...connection.map((option) => option.helpGroup("Connection:")),
  ];
}

async function main(args: readonly string[]): Promise<void> {
  // A variable that is set to nothing says nothing, as in `NATS_URL= contrail dev tasks.ts`.
  for (const { envVar } of globalOptions())
    if (envVar !== undefined && process.env[envVar] === "") delete process.env[envVar];
  try {
    await program().parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return; // help, version
    const output = outputFor(args);
    if (error instanceof CommanderError) {
      if (error.code !== "commander.help") output.fail(usageError(error, args));
      process.exitCode = EXIT.usage;
      return;
    }
    output.fail(error);
    process.exitCode = describeError(error).exitCode;
  }
}

/** Errors of usage come before the options are parsed: whether the output is JSON is looked up. */
function outputFor(args: readonly string[]): Output {
  const ends = args.indexOf("--");
  const options = ends < 0 ? args : args.slice(0, ends);
  return new Output({
    json: options.includes("--json"),
    debug: options.includes("--debug"),
    quiet: false,
  });
}

function usageError(error: CommanderError, args: readonly string[]): InvalidInputError {
  const message = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  const sentence = `${message.charAt(0).toUpperCase()}${message.slice(1)}`.replace(
    /([^.)])$/,
    "$1.",
  );
  const command = program()
    .commands.find((candidate) => args.includes(candidate.name()))
    ?.name();
  const help = command === undefined ? "contrail --help" : `contrail ${command} --help`;
  // Ids of children may begin so.
  const id = /^Unknown option '(-[^-'][^']+)'/.exec(sentence)?.[1];
  const hint = id === undefined ? "" : ` If ${id} is the id of a run, write -- before it.`;
  return new InvalidInputError(`${sentence}${hint} See "${help}".`);
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever reads has seen enough, as in `contrail runs | head`.
  if (error.code === "EPIPE") process.exit(EXIT.done);
  throw error;
});
await main(process.argv.slice(2));
// What task files have opened, connections and timers, must not keep the process.
process.stdout.write("", () => process.stderr.write("", () => process.exit()));
