import test from "ava";
import { setupNamespace } from "../../engine/setup.ts";
import { clientOver } from "../../shared/client.ts";
import { IncompatibleSetupError, UnavailableError } from "../../shared/errors.ts";
import { MemoryWorld } from "../../shared/memory/memory-world.ts";
import { Names } from "../../shared/subjects.ts";

test("an event is published again by its caller while the stream has no leader", async (t) => {
  const world = new MemoryWorld();
  const link = world.link("client");
  const { names } = await world.run(setupNamespace(link, { shards: 1 }));
  const client = clientOver(link, names, "client");
  world.server.changeLeader({ forMs: 1_000 });
  await t.throwsAsync(world.run(client.publish("order.paid", {})), {
    instanceOf: UnavailableError,
  });
  t.is((await world.run(client.publish("order.paid", {}))).sequence, 1);
});

test("an event is refused where no engine has made a stream for it", async (t) => {
  const world = new MemoryWorld();
  const client = clientOver(world.link("client"), new Names("contrail", 1), "client");
  await t.throwsAsync(world.run(client.publish("order.paid", {})), {
    instanceOf: IncompatibleSetupError,
  });
});
