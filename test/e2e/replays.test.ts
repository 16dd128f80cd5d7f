/** `contrail replay` of runs of a live cluster and of exported files, against three versions of one code. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { jsonLines } from "../helpers/contrail.ts";
import { checkHistory, checkQuiet, command, forEachWorld } from "./harness/index.ts";
import { CODE_VARIABLE, changed, guarded } from "./tasks/versioned.ts";

const tasksFile = new URL("./tasks/versioned.js", import.meta.url);
const SLEEP_MS = 3_600_000;
const IDS = ["a", "b", "c"];
const NOBODY = { NATS_URL: "nats://127.0.0.1:1" };

forEachWorld(test, (title, open) => {
  test(`${title}: a replay gives a verdict for each run of the cluster and of files, fails for changed code, and passes when that is repaired`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile, env: { [CODE_VARIABLE]: "1" } });
    const runs = await Promise.all(IDS.map((id) => world.client.start(changed, SLEEP_MS, { id })));
    const other = await world.client.start(guarded, SLEEP_MS, { id: "other" });
    for (const run of [...runs, other]) await world.untilStatus(run, "waiting");
    const replay = (code: number, ...args: string[]) =>
      command(world, ["replay", fileURLToPath(tasksFile), ...args], {
        [CODE_VARIABLE]: String(code),
        ...(args.includes("--history") ? NOBODY : {}),
      });
    for (const id of IDS) {
      const exported = await command(world, ["export", `changed/${id}`, `${id}.json`]);
      t.is(exported.code, 0, exported.stderr);
    }
    const files = IDS.map((id) => join(world.folder, `${id}.json`));
    for (const which of [
      ["--task", "changed"],
      ["--history", ...files],
    ]) {
      const same = await replay(1, ...which);
      t.deepEqual([same.code, verdicts(same.stdout)], [0, IDS.map((id) => `same changed/${id}`)]);
      t.is(same.stderr, "3 as recorded, 0 diverged, 0 not replayed.\n");

      const bad = await replay(2, ...which);
      t.is(bad.code, 1);
      t.deepEqual(
        verdicts(bad.stdout),
        IDS.map((id) => `diverged changed/${id}`),
      );
      t.is(bad.stderr, "0 as recorded, 3 diverged, 0 not replayed.\n");
      for (const run of runs) {
        const entries = (await run.history()).commits.flatMap((commit) => commit.entries);
        const number = entries.findIndex((entry) => entry.kind === "step-completed") + 1;
        const line = bad.stdout.split("\n").find((text) => text.includes(`changed/${run.runId}:`));
        const at = `entry ${number} \\(step-completed, .*\\) has "s0 charge", the code asks for "s0 check": `;
        t.regex(line ?? "", new RegExp(at));
      }
      const asJson = await replay(2, ...which, "--json");
      t.is(asJson.code, 1);
      for (const line of jsonLines(asJson.stdout))
        t.like(line, { taskName: "changed", verdict: "diverged", recorded: "s0 charge" });

      const repaired = await replay(3, ...which);
      t.deepEqual(
        [repaired.code, verdicts(repaired.stdout)],
        [0, IDS.map((id) => `same changed/${id}`)],
      );
    }
    const all = await replay(2, "--since", "1h", "--status", "waiting");
    t.is(all.code, 1);
    t.deepEqual(verdicts(all.stdout), [
      ...IDS.map((id) => `diverged changed/${id}`),
      "same guarded/other",
    ]);
    // Nothing was executed or written.
    for (const run of runs) {
      t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
      t.is((await run.view()).state.status, "waiting");
    }
  });

  test(`${title}: runs that a replay calls the same go on with that code`, async (t) => {
    const world = await open(t);
    const old = await world.startWorker({ tasksFile, env: { [CODE_VARIABLE]: "1" } });
    const run = await world.client.start(changed, 2_000, { id: "a" });
    await world.untilStatus(run, "waiting");
    await old.end();
    const env = { [CODE_VARIABLE]: "3" };
    const args = ["replay", fileURLToPath(tasksFile), "--task", "changed"];
    const { code, stdout } = await command(world, args, env);
    t.deepEqual([code, verdicts(stdout)], [0, ["same changed/a"]]);
    await world.startWorker({ tasksFile, env });
    t.is(await world.result(run), 3);
    t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
    checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });
});

/** The verdict and the run of each line, in the order of the runs. */
function verdicts(stdout: string): string[] {
  const lines = stdout.trim().split("\n");
  return lines
    .map((line) => /^(\w+) +([^\s:]+)/.exec(line)?.slice(1, 3).join(" ") ?? line)
    .sort((a, b) => (a.slice(a.indexOf(" ")) < b.slice(b.indexOf(" ")) ? -1 : 1));
}
