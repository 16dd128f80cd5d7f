/** `contrail start`: starts a run, and may wait for its end. */
import type { Command } from "commander";
import {
  type Client,
  RunCanceledError,
  RunFailedError,
  type RunHandle,
} from "../../../shared/index.ts";
import { jsonValue } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { jsonText, printable } from "../format.ts";
import { EXIT } from "../output.ts";
import { runText } from "../run-reference.ts";
import { INTERRUPTED, stopSignal } from "../stop-signal.ts";

/** Who waits for so long is told what the run waits for. */
const TELL_AFTER_MS = 3_000;

interface Options {
  readonly input?: string;
  readonly id?: string;
  readonly queueTimeout?: string;
  readonly wait?: boolean;
}

/** Adds `contrail start`. */
export function addStart(program: Command): void {
  program
    .command("start")
    .summary("start a run of a task")
    .description(
      "Starts a run of a task and prints it as TASK/RUN. With --wait it waits for the end and prints the output as JSON instead; exit code 1 when the run failed or was canceled.",
    )
    .argument("<task>", "the name of the task")
    .option("--input <json>", 'the input as JSON; "@file" reads a file, "-" standard input')
    .option(
      "--id <id>",
      "id of the run; starting twice with one id and one input starts one run (default: a new one)",
    )
    .option(
      "--queue-timeout <duration>",
      'the run fails when no worker has begun it after so long, such as "30s" or "5m"',
    )
    .option("--wait", "wait for the run to end")
    .addHelpText(
      "after",
      example(
        `start fulfil-order --input '{"id":"42","skus":["a"]}' --id order-42 --wait`,
        "Starts an order and prints what comes of it.",
      ),
    )
    .action((task: string, options: Options, command: Command) =>
      carryOut(command, (cli) => start(cli, task, options)),
    );
}

async function start(cli: Cli, task: string, options: Options): Promise<number> {
  const { input, id, queueTimeout, wait = false } = options;
  const value = input === undefined ? undefined : jsonValue(input, `input of task "${task}"`);
  return cli.withClient(async (client: Client) => {
    const run = await client.start(task, value, {
      ...(id === undefined ? {} : { id }),
      ...(queueTimeout === undefined ? {} : { queueTimeout }),
    });
    const { taskName, runId } = run;
    if (wait) return waitFor(cli, run);
    cli.output.data(printable(runText(run)), { taskName, runId });
    return EXIT.done;
  });
}

async function waitFor(cli: Cli, run: RunHandle): Promise<number> {
  const { taskName, runId } = run;
  const stop = stopSignal(() =>
    cli.output.note(`The run goes on. "contrail show ${runText(run)}" tells what becomes of it.`),
  );
  const stopTimer = cli.clock.after(TELL_AFTER_MS, () => void tellWhy(cli, run));
  try {
    const output = await run.result({ signal: stop.signal });
    cli.output.data(jsonText(output), { taskName, runId, status: "completed", output });
    return EXIT.done;
  } catch (error) {
    if (stop.signal.aborted) return INTERRUPTED;
    const isEnd = error instanceof RunFailedError || error instanceof RunCanceledError;
    if (!isEnd) throw error;
    const status = error instanceof RunFailedError ? "failed" : "canceled";
    const { name, message } = error.cause as Error;
    cli.output.onlyJson({ taskName, runId, status, error: { name, message } });
    cli.output.fail(error);
    return EXIT.failed;
  } finally {
    stopTimer();
    stop.dispose();
  }
}

async function tellWhy(cli: Cli, run: RunHandle): Promise<void> {
  try {
    cli.output.note(printable((await run.why()).sentence));
  } catch {
    // it has ended just now, or the server is away: the wait itself says so
  }
}
