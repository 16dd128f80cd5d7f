/** Holes 12, 14 and 31: consumer groups that forget tokens, or stand still. */
import { deleteConsumer } from "../../shared/jetstream/admin.ts";
import { hole } from "./hole.ts";
import { stepper } from "./tasks.ts";

const STEPPER = { taskName: "stepper", runId: "r" };

hole(12, {
  title: "a token is delivered again however many workers have died with it",
  scenario: async (place) => {
    const names = ["A", "B", "C"];
    await place.client.start("stepper", null, { id: "r" });
    for (const name of names) {
      const worker = await place.worker(name, { tasks: [stepper(place, name, ["a", "b"])] });
      const isGone = async (): Promise<boolean> => {
        const { ackPending, pending } = await place.consumer("stepper");
        return ackPending + pending === 0;
      };
      const token = await worker.takeUnless(isGone);
      if (!token) break;
      const death = worker.at(name === "C" ? "never" : "before-step", name === "A" ? 2 : 1);
      if ((await worker.handleUntil(death, token)) === "done") break;
      worker.die();
      place.redeliver(token);
    }
    return () => place.facts(STEPPER);
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "tokens-are-delivered-twice-at-most": { status: "running", lifelines: [] } },
});

hole(12, {
  title: "a start that nobody can read ends its run instead of being dropped without a word",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a"])] });
    await place.write(STEPPER, "token.start", Buffer.from("no start"));
    await a.work();
    return () => place.facts(STEPPER);
  },
  closed: { status: "failed", lifelines: [] },
  opened: { "unreadable-start-is-dropped": { status: "queued", lifelines: [] } },
});

hole(14, {
  title: "a consumer group that is made again delivers the tokens that were in flight",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a", "b"])] });
    await place.client.start("stepper", null, { id: "r" });
    const death = a.at("before-step", 2);
    const token = await a.take();
    void a.handle(token);
    await death.reached();
    a.die();
    const { stream, consumer } = token;
    await deleteConsumer(place.link.requests, { stream, consumer });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["a", "b"])] });
    await place.client.start("stepper", null, { id: "later" });
    await b.work(); // the older token comes first
    return async () => ({
      status: (await place.state(STEPPER)).status,
      later: (await place.state({ taskName: "stepper", runId: "later" })).status,
    });
  },
  closed: { status: "completed", later: "queued" },
  opened: { "consumer-delivers-only-new-tokens": { status: "running", later: "completed" } },
});

hole(31, {
  title: "a consumer group delivers as many tokens as there are slots, however many are open",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a"])] });
    for (const id of ["1", "2", "3"]) await place.client.start("stepper", null, { id });
    let still = 0;
    // It stands still: two tokens are out, a third one is there, and a request waits for it.
    const standsStill = async (): Promise<boolean> => {
      const { ackPending, pending, waiting } = await place.consumer("stepper");
      still = ackPending === 2 && pending === 1 && waiting === 1 ? still + 1 : 0;
      return still >= 20;
    };
    const taken = [await a.take(), await a.take(), await a.takeUnless(standsStill)];
    return taken.filter((token) => token !== undefined).length;
  },
  closed: 3,
  opened: { "consumer-limits-open-tokens": 2 },
});
