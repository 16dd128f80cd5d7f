/**
 * Chaos in a small dose, with a fresh seed each time. CONTRAIL_CHAOS_SECONDS says for how long on each
 * topology instead (0 leaves it out), CONTRAIL_CHAOS_SEED with which seed. Hours of it are `npm run chaos`.
 */
import { fork } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";

const SEED = process.env["CONTRAIL_CHAOS_SEED"] ?? String(randomInt(1_000_000));
const SECONDS = process.env["CONTRAIL_CHAOS_SECONDS"];
/** How long runs may take to end after the healing: other tests may keep the machine busy. */
const PATIENCE_SECONDS = 240;
/** Start, healing, exams and judgment come on top. */
const REST_MS = 360_000;

for (const [topology, usual] of [
  ["r1", 60],
  ["r3", 120],
] as const) {
  const seconds = Number(SECONDS ?? usual);
  const which = seconds > 0 ? test.serial : test.serial.skip;
  which(`${topology}: whatever breaks for a while, no promise does`, async (t) => {
    const longestMs = (seconds + PATIENCE_SECONDS) * 1_000 + REST_MS;
    t.timeout(longestMs, "The chaos run comes to no end.");
    const dir = mkdtempSync(join(tmpdir(), `contrail-chaos-${topology}-${SEED}-`));
    const options = { topology, seconds, seed: SEED, patience: PATIENCE_SECONDS, dir };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    // The command itself: it gets into a network namespace where it can.
    const runner = fork(new URL("./run.js", import.meta.url), args, { silent: true });
    t.teardown(() => runner.kill());
    let told = "";
    for (const stream of [runner.stdout, runner.stderr])
      stream?.on("data", (bytes: Buffer) => {
        told += bytes.toString();
      });
    const [code] = (await once(runner, "close")) as [number | null];
    const lines = told.split("\n");
    t.log(lines.filter((line) => /npm run|artitions are made|survived:/.test(line)).join("\n"));
    if (code !== 0) return t.fail(`${told}\nKept: ${dir}`);
    rmSync(dir, { recursive: true });
    return t.pass();
  });
}
