/** The whole suite once, with as little work as there can be. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import test from "ava";
import { findServerBinary } from "../helpers/nats.ts";

const FIELDS = [
  ...["scenario", "metric", "value", "unit", "ceiling", "ratio", "n", "spread"],
  ...["versions", "machine"],
];

async function bench(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const script = fileURLToPath(new URL("../../bench/run.js", import.meta.url));
  const { NATS_URL: _, ...env } = process.env;
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...env, CONTRAIL_NATS_SERVER: findServerBinary() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const read = { out: "", err: "" };
  child.stdout.on("data", (data: Buffer) => (read.out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (read.err += data.toString()));
  const [code] = await once(child, "close");
  return { code, ...read };
}

test("the suite prints one JSON object for each figure, and its progress beside it", async (t) => {
  const { code, out, err } = await bench("noop-1", "--json", "--passes", "1", "--duration", "1");
  t.is(code, 0, err);
  const lines = out.trimEnd().split("\n");
  const results = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const result of results) t.deepEqual(Object.keys(result).sort(), [...FIELDS].sort());
  const figures = new Map(results.map((result) => [result["metric"], result]));
  for (const metric of ["latency_p50_ms", "latency_p99_ms", "throughput_per_s"]) {
    const figure = figures.get(metric);
    t.like(figure, { scenario: "noop-1", n: 1 });
    t.true(Number(figure?.["value"]) > 0, metric);
    t.true(Number(figure?.["ceiling"]) > 0, metric);
  }
  t.regex(err, /^noop-1: pass 1 of 1: /m);
});

test("the suite refuses a scenario that it does not have, with exit code 2", async (t) => {
  const { code, out, err } = await bench("nop");
  t.is(code, 2);
  t.is(out, "");
  t.regex(err, /There is no scenario "nop"/);
});
