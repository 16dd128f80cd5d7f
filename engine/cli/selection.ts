/** What `resume`, `retry` and `cancel` have in common: the runs that are named, or all that a filter selects. */
import { type Command, Option } from "commander";
import { type BulkAction, type BulkFilter, InvalidInputError } from "../../shared/index.ts";
import { duration } from "./arguments.ts";
import type { Cli } from "./cli.ts";
import { EXIT } from "./output.ts";

/** Which runs are meant. */
export interface SelectionOptions {
  readonly task?: string;
  readonly reason?: string;
  readonly all?: boolean;
  readonly since?: number;
  readonly because?: string;
  readonly dryRun?: boolean;
}

/** Adds the argument and the options. @param which What they select from, for instance "paused". */
export function addSelection(command: Command, which: string): Command {
  return command
    .argument("[runs...]", "TASK/RUN, or the ids of runs alone")
    .option("--task <name>", "the task: of the ids, or with --all of the runs to select")
    .option("--all", `select all ${which} runs`)
    .addOption(
      new Option("--since <duration>", "with --all: that changed so long ago at most").argParser(
        duration,
      ),
    )
    .option("--because <text>", "with --all: whose reason to be paused, or error, contains this")
    .option("--dry-run", "with --all: only count them")
    .option("--reason <text>", "why; the history says so");
}

/** @throws {InvalidInputError} When runs are named and selected, or neither. */
export function checkSelection(
  name: string,
  runs: readonly string[],
  { all = false }: SelectionOptions,
): void {
  if (all !== runs.length > 0) return;
  throw new InvalidInputError(
    `Name the runs to ${name}, or select them with --all, not both. See "contrail ${name} --help".`,
  );
}

/** How a bulk action is told of. */
export interface BulkWords {
  /** The runs, for instance "paused runs". */
  readonly which: string;
  /** What a dry run says would become of them. */
  readonly would: string;
  /** What becomes of them. */
  readonly does: string;
}

/** Asks for the same of all runs that the options select, or counts them. */
export async function selectAll(
  cli: Cli,
  action: BulkAction,
  { task, since, because, reason = "", dryRun = false }: SelectionOptions,
  { which, would, does }: BulkWords,
): Promise<number> {
  const filter: BulkFilter = {
    ...(task === undefined ? {} : { taskName: task }),
    ...(since === undefined ? {} : { since: cli.clock.now() - since }),
    ...(because === undefined ? {} : { because }),
  };
  const found = await cli.withClient((client) =>
    client.bulk(action, filter, { isDryRun: dryRun, reason }),
  );
  const { matched, done, refused } = found;
  for (const { error } of refused) cli.output.fail(error);
  cli.output.note(
    dryRun ? `${matched} ${which} ${would}.` : `${done} of ${matched} ${which} ${does}.`,
  );
  cli.output.onlyJson({ matched, done, refused: refused.length, dryRun });
  return refused.length === 0 ? EXIT.done : EXIT.failed;
}
