/**
 * What `npm run bench` runs after the build: takes the command line, prints progress to stderr and
 * the results to stdout. Exit code 0: done. 1: a scenario failed. 2: wrong usage.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { compareResults, parseResult } from "./compare.ts";
import { type Measurement, variantOf } from "./measurement.ts";
import { reportPage, variantTitle } from "./report/page.ts";
import type { Plot } from "./report/plots.ts";
import { resultsPage } from "./report/results.ts";
import { SCENARIOS, scenariosOf } from "./scenarios/index.ts";
import type { Settings } from "./settings.ts";
import { runSuite } from "./suite.ts";
import { changeTable, resultTables } from "./table.ts";

interface Options {
  readonly json?: true;
  readonly compare?: string;
  readonly report?: string | true;
  readonly replicas: "1" | "3";
  readonly sync: "default" | "always" | "both";
  readonly results?: string;
  readonly from?: string;
  readonly shards: readonly number[];
  readonly passes: number;
  readonly duration: number;
  readonly scale: number;
  readonly million?: true;
  readonly profile?: string;
  readonly server?: string;
}

const REPORT_FILE = "bench-report.html";
const DEFAULT_SHARDS = 4;

function program(): Command {
  return new Command("bench")
    .usage("[SCENARIO...] [options]")
    .description("Measures Contrail beside the leanest loops over plain NATS, in turn.")
    .argument("[scenarios...]", "names or beginnings of names; all without any")
    .option("--json", "print one JSON object a line")
    .option("--compare <file>", "show what changed since an earlier result of --json")
    .option("--report [file]", `write an HTML page with plots (default: ${REPORT_FILE})`)
    .option("--results <file>", "write the tables of bench/RESULTS.md")
    .option("--from <file>", "measure nothing; show the results of an earlier --json")
    .addOption(
      new Option("--replicas <n>", "servers of the cluster").choices(["1", "3"]).default("1"),
    )
    .addOption(
      new Option(
        "--sync <mode>",
        "when the servers write to the disk: after two minutes, always, or all scenarios with either",
      )
        .choices(["default", "always", "both"])
        .default("default"),
    )
    .option("--shards <n>", "streams the log is spread over; 1,2,4 measures each", counts, [
      DEFAULT_SHARDS,
    ])
    .option("--passes <n>", "passes of each side", positive, 3)
    .option("--duration <seconds>", "of a pass of a loop", positive, 4)
    .option("--scale <factor>", "multiplies all numbers of runs", positive, 1)
    .option("--million", "sleep a million runs")
    .option("--profile <folder>", "write CPU profiles of all Node processes")
    .addOption(
      new Option("--server <url>", "measure on these servers, several with commas; start none").env(
        "NATS_URL",
      ),
    )
    .addHelpText("after", `\nScenarios:\n${scenarioList()}`)
    .showHelpAfterError("(--help tells more)");
}

function scenarioList(): string {
  return SCENARIOS.map(({ name, work }) => `  ${name.padEnd(20)} ${work}`).join("\n");
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function counts(text: string): number[] {
  return text.split(",").map(positive);
}

type Variant = Pick<Settings, "sync" | "shards">;

function variantsOf({ sync, shards }: Options): Variant[] {
  const syncs = sync === "both" ? (["default", "always"] as const) : [sync];
  return syncs.flatMap((each) => shards.map((count) => ({ sync: each, shards: count })));
}

function settingsOf(options: Options, { sync, shards }: Variant): Settings {
  return {
    passes: Math.ceil(options.passes),
    durationMs: options.duration * 1_000,
    scale: options.scale,
    shards,
    replicas: options.replicas === "3" ? 3 : 1,
    sync,
    million: options.million ?? false,
    servers: options.server?.split(",") ?? [],
    profileTo: options.profile,
  };
}

function resultIn(file: string): Measurement[] {
  return parseResult(readFileSync(file, "utf8"));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(names: readonly string[], options: Options): Promise<void> {
  const command = program();
  let scenarios: ReturnType<typeof scenariosOf>;
  try {
    scenarios = scenariosOf(names);
  } catch (error) {
    return command.error(`error: ${(error as Error).message}`, { exitCode: 2 });
  }
  const before = options.compare ? resultIn(options.compare) : undefined;
  const measurements: Measurement[] = options.from ? resultIn(options.from) : [];
  const plots: Plot[] = [];
  let failed = 0;
  const printJson = (measured: readonly Measurement[]): void => {
    for (const one of measured) process.stdout.write(`${JSON.stringify(one)}\n`);
  };
  const variants = options.from ? [] : variantsOf(options);
  for (const variant of variants) {
    const result = await runSuite(scenarios, settingsOf(options, variant), {
      say,
      onMeasured: options.json ? printJson : () => {},
      onFailed(scenario, error) {
        failed++;
        say(`${scenario} FAILED: ${error instanceof Error ? error.stack : String(error)}`);
      },
    });
    measurements.push(...result.measurements);
    const titled = ({ scenario }: Plot): string =>
      variants.length === 1 ? scenario : variantTitle(scenario, variantOf({ machine: variant }));
    plots.push(...result.plots.map((plot) => ({ ...plot, scenario: titled(plot) })));
  }
  for (const table of options.json ? [] : resultTables(measurements))
    process.stdout.write(`${table}\n`);
  if (before) {
    const table = changeTable(compareResults(before, measurements));
    (options.json ? process.stderr : process.stdout).write(`\n${table}\n`);
  }
  if (options.report) {
    const file = options.report === true ? REPORT_FILE : options.report;
    writeFileSync(file, reportPage(measurements, plots));
    say(`The report is in ${file}.`);
  }
  if (options.results) {
    writeFileSync(options.results, resultsPage(measurements));
    say(`The results are in ${options.results}.`);
  }
  if (failed > 0) process.exitCode = 1;
}

const command = program();
command.exitOverride((error) => {
  process.exit(error.exitCode === 0 ? 0 : 2);
});
await command.action(main).parseAsync(process.argv);
