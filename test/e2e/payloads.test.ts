import test from "ava";
import { PayloadReference } from "../../shared/index.ts";
import { checkHistory, forEachWorld } from "./harness/index.ts";
import { echo, maker } from "./tasks/payloads.ts";

const tasksFile = new URL("./tasks/payloads.js", import.meta.url);
const MEGABYTE = 2 ** 20;

forEachWorld(test, (title, open) => {
  test(`${title}: a step's result of 5 MB survives its worker, killed between payload and commit and behind the commit, as does one of 20 MB`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const run = await world.client.start(maker, 5 * MEGABYTE);
    for (const place of ["after-payload@1", "after-commit@1"]) {
      const doomed = await world.startWorker({
        tasksFile,
        warmRuns: 0,
        failpoints: `${place}=kill`,
      });
      t.is((await doomed.exited).signal, "SIGKILL", place);
    }
    await world.startWorker({ tasksFile, warmRuns: 0 });
    const bytes = 5 * MEGABYTE;
    t.deepEqual(await world.result(run), { bytes, last: 7, echoed: bytes });
    checkHistory(t, await world.endOf(run));
    t.true(world.effects.read(run.runId, "make").length >= 2);
    if (title === "R3") return; // it only takes longer
    const larger = await world.client.start(maker, 20 * MEGABYTE);
    t.is((await world.result(larger)).echoed, 20 * MEGABYTE);
  });

  test(`${title}: an input and an output of 2 MB are the caller's, and a run whose payload is gone is paused until it is back`, async (t) => {
    const world = await open(t);
    const { client, link, setup } = world;
    const input = new Uint8Array(2 * MEGABYTE).fill(3);
    const run = await client.start(echo, input, { id: "large" });
    await client.start(echo, input, { id: "large" }); // an equal input: the same run
    await t.throwsAsync(client.start(echo, input.slice(1), { id: "large" }), {
      code: "run-conflict",
    });
    const { input: reference } = await run.view();
    if (!(reference instanceof PayloadReference)) return t.fail("the input is in the log");
    const subject = setup.names.payloadChunks(reference.path);
    const chunks = await link.reader.readSubject(setup.names.payloadsStream, subject);
    await link.nc.request(
      `$JS.API.STREAM.PURGE.${setup.names.payloadsStream}`,
      JSON.stringify({ filter: subject }),
    );
    await world.startWorker({ tasksFile });
    const view = await world.untilStatus(run, "paused");
    t.regex(view.state.paused?.reason ?? "", /^Payload echo\/large\/.* is not there/);
    for (const { data } of chunks) await link.publisher.publish(subject, data);
    await run.resume();
    t.deepEqual(await world.result(run), input);
  });
});
