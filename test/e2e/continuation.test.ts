import test from "ava";
import { claims, forEachWorld } from "./harness/index.ts";
import { rounds } from "./tasks/rounds.ts";

const tasksFile = new URL("./tasks/rounds.js", import.meta.url);

forEachWorld(test, (title, open) => {
  test(`${title}: a run whose workers are killed before, after and behind its continuation continues once, each step executed once`, async (t) => {
    const world = await open(t);
    const run = await world.client.start(rounds, 1);
    for (const place of ["before-continue@1", "after-continue@1", "before-registration@1"]) {
      const doomed = await world.startWorker({ tasksFile, failpoints: `${place}=kill` });
      t.is((await doomed.exited).signal, "SIGKILL", place);
    }
    await world.startWorker({ tasksFile });
    t.is(await world.result(run), 3);
    t.deepEqual(world.effects.counts(run.runId), { "work 1": 1, "work 2": 1, "work 3": 1 });
    const view = await world.endOf(run);
    const kinds = view.commits.flatMap(({ entries }) => entries.map(({ kind }) => kind));
    t.is(kinds.filter((kind) => kind === "continued").length, 2);
    t.true(claims(view).filter((because) => because === "takeover").length >= 2);
    t.like(view.state, { status: "completed", beginning: { count: 2, input: 3 } });
  });
});
