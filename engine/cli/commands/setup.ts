/** `contrail setup`: creates the streams of a namespace, or checks them. */
import { type Command, Option } from "commander";
import { durationText } from "../../../shared/index.ts";
import { type PreparedNamespace, prepareNamespace } from "../../index.ts";
import { duration, durationOrForever, wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";

const MOST_SHARDS = 64;

interface Options {
  readonly shards?: number;
  readonly replicas?: string;
  readonly claimTimeout?: number;
  readonly eventsKeep?: number;
  readonly keepEnded?: string;
}

/** Adds `contrail setup`. */
export function addSetup(program: Command): void {
  program
    .command("setup")
    .summary("create the streams of a namespace, or check them")
    .description(
      "Creates the streams and buckets of a namespace, or checks those that are there. An engine does the same when it starts; do it by hand to choose how.",
    )
    .option(
      "--shards <count>",
      "streams the log is spread over; fixed for ever (default: 4)",
      wholeNumber(1, MOST_SHARDS),
    )
    .addOption(
      new Option("--replicas <count>", "servers that hold each message (default: 1)").choices([
        ...["1", "3", "5"],
      ]),
    )
    .option(
      "--claim-timeout <duration>",
      "how long a run stays idle after its worker died; fixed for ever (default: 10s)",
      duration,
    )
    .option("--events-keep <duration>", "how long events are kept (default: 30 days)", duration)
    .option(
      "--keep-ended <duration>",
      'how long ended runs are kept, an hour or more, or "forever" (default: 7 days)',
      durationOrForever,
    )
    .addHelpText(
      "after",
      example("setup --replicas 3", "On a cluster: any one server may be lost at any time."),
    )
    .action((options: Options, command: Command) =>
      carryOut(command, (cli) => setUp(cli, options)),
    );
}

async function setUp(cli: Cli, options: Options): Promise<void> {
  const { shards, replicas, claimTimeout, eventsKeep, keepEnded } = options;
  const prepared = await prepareNamespace({
    ...cli.nats,
    namespace: cli.namespace,
    ...(shards === undefined ? {} : { shards }),
    ...(replicas === undefined ? {} : { replicas: Number(replicas) }),
    ...(claimTimeout === undefined ? {} : { claimTimeoutMs: claimTimeout }),
    ...(eventsKeep === undefined ? {} : { eventsKeepMs: eventsKeep }),
    ...(keepEnded === undefined ? {} : { keepEndedFor: keepEnded }),
  });
  cli.output.data(preparedText(prepared), { ...prepared });
}

function preparedText(prepared: PreparedNamespace): string {
  const { namespace, shards, replicas, claimTimeoutMs, eventsKeepMs, keepEndedMs } = prepared;
  const ended = keepEndedMs === "forever" ? "for ever" : `for ${durationText(keepEndedMs)}`;
  const servers = replicas === 1 ? "one server" : `${replicas} servers`;
  return `Namespace "${namespace}" is set up: ${shards} shards, each message on ${servers}, claim timeout ${durationText(claimTimeoutMs)}, events are kept for ${durationText(eventsKeepMs)}, ended runs ${ended}.`;
}
