/**
 * Records the golden histories that are not there yet: `npm run golden`. Those that are there stay as
 * they are; see CONTRIBUTING.md.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seedIds } from "../../shared/ids.ts";

const FOLDER = "test/golden";

// Stacks would have the paths of this machine in them.
Error.stackTraceLimit = 0;
const { kitFor, scenarios } = await import("./scenarios.ts");

for (const scenario of scenarios) {
  const file = join(FOLDER, `${scenario.name}.json`);
  if (existsSync(file)) continue;
  const restoreIds = seedIds(scenario.name);
  const kit = await kitFor(scenario);
  const run = await scenario.play(kit);
  writeFileSync(file, await run.history());
  kit.close();
  restoreIds();
  process.stdout.write(`${file}\n`);
}
