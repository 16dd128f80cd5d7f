/** The results of a run as a Markdown page, for the repository: bench/RESULTS.md is made by it. Pure. */
import { standingOf } from "../aims.ts";
import type { Measurement } from "../measurement.ts";
import type { MetricName } from "../metrics.ts";
import { figure } from "../table.ts";

/** A figure that people compare engines by. */
interface Headline {
  readonly what: string;
  readonly scenario: string;
  readonly metric: MetricName;
  readonly unit: string;
  /** What others came to on a machine like ours, where they were measured. */
  readonly restate?: string;
  readonly dbos?: string;
  readonly other?: string;
}

const HEADLINES: readonly Headline[] = [
  {
    ...{ what: "a task that does nothing, one at a time, p50", unit: " ms" },
    ...{ scenario: "noop-1", metric: "latency_p50_ms" },
    ...{ restate: "4 to 5 ms", dbos: "3 ms" },
    other: "Hatchet publishes 40 ms at 100 runs/s",
  },
  {
    ...{ what: "the same, 256 at a time", unit: " runs/s" },
    ...{ scenario: "noop-256", metric: "throughput_per_s" },
    ...{ restate: "1,000 to 1,660 runs/s", dbos: "985 runs/s" },
    other: "BullMQ 4,170 jobs/s, without workflows",
  },
  {
    ...{ what: "10 steps, one run at a time, p50", unit: " ms" },
    ...{ scenario: "steps-1", metric: "latency_p50_ms" },
    ...{ restate: "13 to 15 ms", dbos: "18 ms" },
  },
  {
    ...{ what: "the same, 64 runs at a time", unit: " runs/s" },
    ...{ scenario: "steps-64", metric: "throughput_per_s" },
    ...{ restate: "290 to 550 runs/s", dbos: "160 runs/s" },
  },
  {
    ...{ what: "event to result, p50", unit: " ms" },
    ...{ scenario: "event-1", metric: "latency_p50_ms" },
    restate: "2.9 to 7 ms",
  },
  {
    ...{ what: "1,000 children of one parent", unit: " ms" },
    ...{ scenario: "fanout-1000", metric: "total_ms" },
    ...{ restate: "475 to 790 ms", dbos: "2,900 ms" },
  },
  {
    ...{ what: "500 sleeps of 1 s, how late, p50", unit: " ms" },
    ...{ scenario: "sleep-1s", metric: "late_p50_ms" },
    restate: "6 to 16 ms",
  },
];

const SYNCS: Readonly<Record<string, string>> = {
  default: "The server writes to the disk every two minutes (the default of NATS)",
  always: "The server writes to the disk before each answer (`sync_interval: always`)",
};

/**
 * Makes the page from measurements of one or several runs on one machine. The number of streams of
 * the first is told of in full, others beside it.
 */
export function resultsPage(all: readonly Measurement[]): string {
  const shards = all[0]?.machine.shards;
  const measurements = all.filter(({ machine }) => machine.shards === shards);
  const syncs = [...new Set(measurements.map(({ machine }) => machine.sync))];
  return [
    "# Results",
    "",
    "Made by `npm run bench -- --sync both --results bench/RESULTS.md`. [README.md](README.md) says what each",
    "figure is and is not.",
    "",
    ...circumstances(measurements),
    "",
    ...headlines(measurements),
    ...shardsSection(all),
    ...syncs.flatMap((sync) => section(sync, measurements)),
  ].join("\n");
}

function circumstances(measurements: readonly Measurement[]): string[] {
  const lines = measurements.map(({ machine, versions }) => {
    const { cpu, cores, memory_gb, os, shards, replicas, load } = machine;
    const { contrail, node, nats_server } = versions;
    const servers = replicas === 1 ? "one server (R1, file)" : `${replicas} servers (R${replicas})`;
    return `- ${cpu}, ${cores} cores, ${memory_gb} GB, ${os}; client, worker, engine and ${servers} on it. Load when the run began: ${load}. Contrail ${contrail}, Node ${node}, nats-server ${nats_server}, ${shards} shards.`;
  });
  return [...new Set(lines)];
}

function headlines(measurements: readonly Measurement[]): string[] {
  const value = ({ scenario, metric, unit }: Headline, sync: string): string => {
    const found = measurements.findLast(
      (one) => one.scenario === scenario && one.metric === metric && one.machine.sync === sync,
    );
    return found ? `${figure(found.value)}${unit}` : "";
  };
  const rows = HEADLINES.map((one) => [
    ...[one.what, value(one, "default"), value(one, "always")],
    ...[one.restate ?? "", one.dbos ?? "", one.other ?? ""],
  ]);
  return [
    "## Beside what one would pick instead",
    "",
    "The figures of the others were measured on a machine like this one (client, worker and server on 2 cores), not in",
    "this run; what they publish themselves says so. They write to the disk before they answer, so `always` is the column",
    "to compare them with.",
    "",
    ...markdownTable(
      ["", "default", "always", "Restate 1.x", "DBOS on PostgreSQL", "others"],
      rows,
    ),
    "",
  ];
}

/** Throughput and latency by the number of streams; nothing where only one was measured. */
function shardsSection(all: readonly Measurement[]): string[] {
  const counts = [...new Set(all.map(({ machine }) => machine.shards))].sort((a, b) => a - b);
  if (counts.length < 2) return [];
  const others = all.filter(({ machine }) => machine.shards !== all[0]?.machine.shards);
  const keyOf = ({ scenario, metric, machine }: Measurement): string =>
    `${scenario} | \`${metric}\` | ${machine.sync}`;
  const keys = [...new Set(others.filter(({ metric }) => SHARD_METRICS.has(metric)).map(keyOf))];
  const rows = keys.map((key) => [
    key,
    ...counts.map((count) => {
      const found = all.findLast((one) => keyOf(one) === key && one.machine.shards === count);
      if (!found) return "";
      const ratio = found.ratio === null ? "" : ` (${found.ratio.toFixed(2)}x ceiling)`;
      return `${figure(found.value)}${ratio}`;
    }),
  ]);
  return [
    "## By the number of streams (shards)",
    "",
    ...markdownTable(["scenario", "metric", "sync", ...counts.map(String)], rows),
    "",
  ];
}

const SHARD_METRICS: ReadonlySet<MetricName> = new Set(["latency_p50_ms", "throughput_per_s"]);

function section(sync: string, all: readonly Measurement[]): string[] {
  const own = all.filter(({ machine }) => machine.sync === sync);
  const rows = own.map((one, index) => {
    const standing = standingOf(one, all);
    return [
      own[index - 1]?.scenario === one.scenario ? "" : one.scenario,
      `\`${one.metric}\``,
      figure(one.value),
      one.ceiling === null ? "" : figure(one.ceiling),
      one.ratio === null ? "" : one.ratio.toFixed(2),
      `${Math.round(one.spread * 100)}%`,
      standing ? `${standing.isMet ? "met" : "**missed**"}: ${standing.text}` : "",
    ];
  });
  const passes = [...new Set(own.map(({ n }) => n))].sort((a, b) => a - b).join(" or ");
  return [
    `## ${SYNCS[sync] ?? "Servers that were given"}`,
    "",
    `Medians of ${passes} passes, each in turn with the ceiling's; \`spread\` is largest less smallest.`,
    "",
    ...markdownTable(
      ["scenario", "metric", "value", "ceiling", "ratio", "spread", "aim"],
      rows,
      [2, 3, 4, 5],
    ),
    "",
  ];
}

function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, index) => (right.includes(index) ? "---:" : "---"));
  return [line(head), line(rule), ...rows.map(line)];
}
