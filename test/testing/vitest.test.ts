/** The test kit under vitest, which runs test files in a module system and a pool of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import test from "ava";

for (const pool of ["forks", "threads"])
  test(`tests with the kit pass under vitest, in its pool of ${pool}, without a server`, async (t) => {
    const args = [
      ...["node_modules/vitest/vitest.mjs", "run", "dist/test/testing/remind.spec.js"],
      ...[`--pool=${pool}`, "--reporter=json", "--testTimeout=120000"],
    ];
    const env = { ...process.env };
    delete env["NODE_OPTIONS"];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close");
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await ended;
    t.is(code, 0, output + errors);
    const report = JSON.parse(output) as Record<"numPassedTests" | "numTotalTests", number>;
    t.deepEqual([report.numPassedTests, report.numTotalTests], [4, 4]);
  });
