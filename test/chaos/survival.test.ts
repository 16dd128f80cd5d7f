/**
 * Chaos in a small dose, with a fresh seed each time. CONTRAIL_CHAOS_SECONDS says for how long on each
 * topology instead (0 leaves it out), CONTRAIL_CHAOS_SEED with which seed. Hours of it are `npm run chaos`.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FAMILIES } from "./faults/fault.ts";
import { commandOf, survive } from "./survival.ts";

const SEED = process.env["CONTRAIL_CHAOS_SEED"] ?? String(randomInt(1_000_000));
const SECONDS = process.env["CONTRAIL_CHAOS_SECONDS"];
/** How long runs may take to end after the healing: other tests may keep the machine busy. */
const PATIENCE_MS = 240_000;
/** Start, healing, exams and judgment come on top. */
const REST_MS = 360_000;

for (const [topology, usual] of [
  ["r1", 60],
  ["r3", 120],
] as const) {
  const seconds = Number(SECONDS ?? usual);
  const which = seconds > 0 ? test.serial : test.serial.skip;
  which(`${topology}: whatever breaks for a while, no promise does`, async (t) => {
    t.timeout(seconds * 1_000 + PATIENCE_MS + REST_MS, "The chaos run comes to no end.");
    const folder = mkdtempSync(join(tmpdir(), `contrail-chaos-${topology}-${SEED}-`));
    const options = { topology, totalMs: seconds * 1_000, seed: SEED, families: FAMILIES };
    t.log(commandOf(options));
    const survival = await survive({
      ...{ ...options, folder, patienceMs: PATIENCE_MS },
      tell: () => {},
    });
    const { hasSurvived, text } = survival;
    if (!hasSurvived) return t.fail(`${text}\nTo repeat: ${commandOf(options)}\nKept: ${folder}`);
    t.log(text.split("\n", 1)[0]);
    rmSync(folder, { recursive: true });
    return t.pass();
  });
}
