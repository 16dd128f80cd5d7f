/** What `npm start` runs: the example, as a person sees it. */
import { spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { connect } from "../../shared/index.ts";
import { startTestServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const main = fileURLToPath(new URL("../../examples/order-fulfilment/main.js", import.meta.url));
const withinMs = 60_000;

/** The example while it runs. */
class Demo {
  output = "";
  code: number | null | undefined;
  readonly #child: ReturnType<typeof spawn>;

  constructor(t: ExecutionContext, args: readonly string[], natsUrl = "") {
    const env = { ...process.env, NATS_URL: natsUrl };
    this.#child = spawn(process.execPath, [main, ...args], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    this.#child.once("close", (code) => {
      this.code = code;
    });
    t.teardown(() => this.#child.kill("SIGTERM"));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async prints(text: string): Promise<void> {
    await until(() => this.#holds(text), { withinMs, what: `the example prints "${text}"` });
  }

  /** Its exit code, once it has ended. */
  async end(): Promise<number | null> {
    await until(() => this.code !== undefined, { withinMs, what: "the example ends" });
    return this.code as number | null;
  }

  /** Those of the processes that it named which are still there. */
  leftovers(): number[] {
    const pids = [...this.output.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid));
    return pids.filter(isThere);
  }

  /** Where its server kept its streams, if it started one. */
  get store(): string | undefined {
    return /store +(\S.*)/.exec(this.output)?.[1];
  }

  #holds(text: string): boolean {
    if (this.output.includes(text)) return true;
    if (this.code !== undefined) throw new Error(`it ended:\n${this.output}`);
    return false;
  }
}

test("npm start -- --once shows a run that is evicted, survives its worker, and ends", async (t) => {
  const demo = new Demo(t, ["--once"]);
  t.is(await demo.end(), 0, demo.output);
  const rows = demo.output.split("\n");
  const evicted = rows.findIndex((row) => /worker-[ab] +durable +gives its slot back/.test(row));
  const resumed = rows.findIndex((row) =>
    /worker-[abc] +durable +resumes where worker-[ab] stopped: event "order.approved"/.test(row),
  );
  const free = rows.findIndex((row) => row.includes("order-42 is on no worker"));
  t.true(evicted > 0 && free > evicted && resumed > free, demo.output);
  const [, first] = /(worker-[ab]) +durable +gives/.exec(rows[evicted] ?? "") ?? [];
  const [, second] = /(worker-[abc]) +durable/.exec(rows[resumed] ?? "") ?? [];
  t.not(first, second);
  t.regex(demo.output, new RegExp(`${first} is killed on purpose`));
  t.regex(demo.output, /nats.* pub events\.order\.approved '\{"orderId":"42"\}'/);
  t.regex(demo.output, /Nobody did within 2 s: this demo publishes it/);
  for (const sku of ["tea", "cup", "jam"])
    t.regex(demo.output, new RegExp(`regular +child pack-item \\{"sku":"${sku}"\\} completed`));
  t.regex(demo.output, /resumes.*: the time is over/);
  t.regex(demo.output, /every step ran once/);
  t.regex(demo.output, /status: 'done'/);
  t.regex(demo.output, /first: 'event'/);
  t.deepEqual(demo.leftovers(), []);
  t.truthy(demo.store);
  t.false(existsSync(demo.store as string));
});

test("with NATS_URL npm start uses that cluster, waits for what somebody types, and ends on Ctrl-C", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const demo = new Demo(t, [], server.url);
  await demo.prints(`pub events.order.approved '{"orderId":"42"}'`);
  const client = await connect({ servers: server.url });
  t.teardown(() => client.close());
  await client.publish("order.approved", { orderId: "42" });
  await demo.prints(`pub events.order.delivered '{"orderId":"42"}'`);
  await client.publish("order.delivered", { orderId: "42" });
  await demo.prints(`nats -s ${server.url} pub events.order.approved '{"orderId":"43"}'`);
  t.notRegex(demo.output, /Nobody did/);
  t.is((await client.get("fulfil-order", "order-43").view()).state.status, "waiting");
  await client.publish("order.approved", { orderId: "43" });
  await demo.prints(`pub events.order.delivered '{"orderId":"43"}'`);
  demo.kill("SIGINT");
  t.is(await demo.end(), 0, demo.output);
  t.deepEqual(demo.leftovers(), []);
  t.notRegex(demo.output, /nats-server/);

  const again = new Demo(t, ["--once"], server.url);
  t.is(await again.end(), 0, again.output);
  t.regex(again.output, /order-44 is on no worker/);
  t.is((await client.get("fulfil-order", "order-44").view()).state.status, "completed");
});

test("everything that npm start began ends when it is killed", async (t) => {
  const demo = new Demo(t, []);
  await demo.prints("gives its slot back");
  t.teardown(() => rmSync(demo.store as string, { recursive: true, force: true }));
  t.true(demo.leftovers().length >= 3, demo.output); // a server, an engine, a worker at least
  demo.kill("SIGKILL");
  await until(() => demo.leftovers().length === 0, { withinMs, what: "its processes end" });
  t.pass();
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
