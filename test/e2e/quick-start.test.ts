/** The program of the README, run as it stands there. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { connect } from "../../shared/index.ts";
import { startTestServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const main = fileURLToPath(new URL("../../examples/quick-start/main.js", import.meta.url));

test("the program of the README goes on after kill -9, and ends when the order is approved", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const first = start(t, server.url);
  await until(() => first.output().includes("It waits"), { withinMs: 30_000 });
  const client = await connect({ servers: server.url });
  t.teardown(() => client.close());
  const run = client.get("fulfil-order", "order-42");
  await until(async () => (await run.view()).state.status === "waiting", { withinMs: 30_000 });
  first.child.kill("SIGKILL");

  const second = start(t, server.url);
  await until(() => second.output().includes("It waits"), { withinMs: 30_000 });
  await client.publish("order.approved", { orderId: "42" });
  await until(() => second.child.exitCode !== null, { withinMs: 60_000 });
  t.is(second.child.exitCode, 0);
  t.regex(second.output(), /status: 'done'/);
  t.regex(second.output(), /payment: 'payment for 42'/);
  t.regex(second.output(), /parcels: \[ \{ parcel: 'P-tea' \}, \{ parcel: 'P-cup' \} \]/);
  const { state } = await run.view();
  t.is([...state.steps].length, 1);
});

function start(
  t: ExecutionContext,
  natsUrl: string,
): { readonly child: ChildProcess; readonly output: () => string } {
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, NATS_URL: natsUrl },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  return { child, output: () => output };
}
