/** An engine process. Start two, and one takes over when the other is gone. */
import { startEngine } from "contrail/engine";
import { closeWhenAsked } from "./lifetime.ts";

const engine = await startEngine({
  servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222",
  log: console,
});

closeWhenAsked(engine, "engine");
