/** Hole 17: the start of a run that somebody else has begun already. */
import { deleteConsumer } from "../../shared/jetstream/admin.ts";
import { hole } from "./hole.ts";
import { regular, stepper } from "./tasks.ts";
import { answers } from "./wiretap.ts";

const STEPPER = { taskName: "stepper", runId: "r" };

hole(17, {
  title: "a start that comes again is claimed first, whatever a replica that is behind says",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a", "b"])] });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["a", "b"])] });
    await place.client.start("stepper", null, { id: "r" });
    const death = a.at("before-step", 2);
    const token = await a.take();
    void a.handle(token);
    await death.reached();
    a.die();
    place.redeliver(token);
    const again = await b.take();
    b.reader.stopAt(token.streamSequence, 4);
    await b.handle(again);
    return async () => ({ ...(await place.facts(STEPPER)), effects: place.effects });
  },
  closed: { status: "completed", lifelines: [], effects: ["A a", "B b"] },
  opened: {
    "empty-history-begins": {
      status: "running",
      lifelines: ["token"],
      effects: ["A a", "B a"],
    },
  },
});

hole(17, {
  title: "a start that was delivered long ago is claimed first, though it came for the first time",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a", "b"])] });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["a", "b"])] });
    await place.client.start("stepper", null, { id: "r" });
    const token = await a.take();
    place.redeliver(token);
    await b.work();
    a.clock.skip(place.setup.claimTimeoutMs); // A was stopped for so long
    a.reader.stopAt(token.streamSequence, 4);
    await a.handle(token);
    return async () => ({ ...(await place.facts(STEPPER)), effects: place.effects });
  },
  closed: { status: "completed", lifelines: [], effects: ["B a", "B b"] },
  opened: {
    "first-delivery-begins-however-late": {
      status: "completed",
      lifelines: [],
      effects: ["B a", "B b", "A a"],
    },
  },
});

hole(17, {
  title: "a start whose deliveries the server has forgotten does not begin an ended run again",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [regular(place, "A")] });
    await place.client.start("regular", null, { id: "r" });
    const token = await a.take();
    a.tap.trap(answers(token.streamSequence), "drop");
    await a.handle(token);
    const { stream, consumer } = token;
    await deleteConsumer(place.link.requests, { stream, consumer });
    const b = await place.worker("B", { tasks: [regular(place, "B")] }); // makes it again
    const again = await b.take();
    await b.handle(again);
    return { deliveryCount: again.deliveryCount, effects: place.effects };
  },
  closed: { deliveryCount: 1, effects: ["A"] },
  opened: {
    "first-delivery-begins-without-a-look": { deliveryCount: 1, effects: ["A", "B"] },
  },
});
