/** `contrail worker`: executes the runs of the tasks in some files. */
import { type Command, Option } from "commander";
import { durationText } from "../../../shared/index.ts";
import { startWorker, type Worker } from "../../../worker/index.ts";
import { duration, wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { printable } from "../format.ts";
import { trackImports } from "../import-tracker.ts";
import { EXIT } from "../output.ts";
import { onParentGone, tellParent } from "../parent.ts";
import { stopSignal } from "../stop-signal.ts";
import { type LoadedTasks, loadTasks } from "../task-files.ts";

/** The most slots a pool can have. */
export const MOST_SLOTS = 100_000;
const DRAIN_MS = 10_000;
const END_WHEN_BLOCKED_MS = 30_000;

/** Slots of a worker as options. */
export interface SlotOptions {
  readonly regular?: number;
  readonly durable?: number;
}

interface Options extends SlotOptions {
  readonly drain: number;
  readonly endWhenBlocked: number;
  readonly child?: boolean;
}

/** Adds `contrail worker`. */
export function addWorker(program: Command): void {
  addSlotOptions(
    program
      .command("worker")
      .summary("execute the runs of the tasks in files")
      .description(
        "Executes the runs of all tasks that the files export, in JavaScript or TypeScript, until it is stopped. Ctrl-C takes no new runs, lets the running ones come to their end or their next wait, and leaves the rest to other workers; Ctrl-C again ends at once.",
      )
      .argument("<files...>", "files that export tasks"),
  )
    .addOption(
      new Option("--drain <duration>", "how long runs may go on after Ctrl-C")
        .argParser(duration)
        .default(DRAIN_MS, durationText(DRAIN_MS)),
    )
    .addOption(
      new Option(
        "--end-when-blocked <duration>",
        "how long code may block the event loop before the process ends itself, with exit code 70, to be started again by whatever looks after it",
      )
        .argParser(duration)
        .default(END_WHEN_BLOCKED_MS, durationText(END_WHEN_BLOCKED_MS)),
    )
    .addOption(new Option("--child", "report to the process that started this one").hideHelp())
    .addHelpText(
      "after",
      example(
        "worker tasks.ts --durable 50",
        "At most 50 durable runs execute at once; any number may wait.",
      ),
    )
    .action((files: string[], options: Options, command: Command) =>
      carryOut(command, (cli) => runWorker(cli, files, options)),
    );
}

/** Adds the options for the sizes of the two pools. */
export function addSlotOptions(command: Command): Command {
  return command
    .option(
      "--regular <count>",
      "slots for regular runs (default: 100)",
      wholeNumber(0, MOST_SLOTS),
    )
    .option(
      "--durable <count>",
      "slots for durable runs (default: 1000)",
      wholeNumber(0, MOST_SLOTS),
    );
}

async function runWorker(cli: Cli, files: readonly string[], options: Options): Promise<number> {
  const { output } = cli;
  const stop = stopSignal(() => {
    if (options.child) return; // the parent has told it
    output.note(
      `Stopping: running code has up to ${durationText(options.drain)} to come to its end or its next wait. Ctrl-C again ends at once.`,
    );
  });
  if (options.child) onParentGone(stop.request);
  const { tasks, advice } = await load(files, options);
  for (const line of advice) output.warn(line);
  if (stop.signal.aborted) return EXIT.done;
  const { regular, durable } = options;
  const worker = await startWorker({
    ...cli.nats,
    namespace: cli.namespace,
    tasks,
    slots: {
      ...(regular === undefined ? {} : { regular }),
      ...(durable === undefined ? {} : { durable }),
    },
    drainTimeout: { milliseconds: options.drain },
    endWhenBlocked: { milliseconds: options.endWhenBlocked },
    log: output,
  });
  if (!stop.signal.aborted) {
    tellReady(cli, worker, tasks);
    if (options.child) tellParent({ kind: "ready" });
    await Promise.race([stop.requested, worker.closed]);
  }
  await worker.close();
  return EXIT.done;
}

async function load(files: readonly string[], { child }: Options): Promise<LoadedTasks> {
  const tracker = child ? trackImports() : undefined;
  try {
    return await loadTasks(files);
  } finally {
    if (tracker) tellParent({ kind: "files", files: tracker.files() });
  }
}

function tellReady(cli: Cli, worker: Worker, tasks: LoadedTasks["tasks"]): void {
  const names = tasks.map(({ name, kind }) => ({ name, kind }));
  const shown = names.map(({ name, kind }) => `${printable(name)} (${kind})`).join(", ");
  cli.output.data(`Worker ${worker.id} executes ${shown}.`, {
    event: "worker-ready",
    worker: worker.id,
    tasks: names,
  });
}
