/** What is not permitted is said at once, with the subject and what to do about it (P9). */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { prepareNamespace, startEngine } from "../../engine/index.ts";
import { connect } from "../../shared/index.ts";
import { connectNats, type NatsOptions } from "../../shared/jetstream/connection.ts";
import { follow } from "../../shared/jetstream/follower.ts";
import { task } from "../../shared/task.ts";
import { startWorker } from "../../worker/index.ts";
import { temporaryFolder } from "../helpers/folders.ts";
import { startTestServer, type TestServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { Deployment, packItem } from "./deployment.ts";
import { Endings } from "./endings.ts";

const ends = new Endings();
let deployment: Deployment;

test.before(async () => {
  deployment = await Deployment.start("roles.conf");
});
test.after.always(async () => {
  await ends.run();
  await deployment?.server.stop();
});

/** Whether it fails as not permitted, and the message names the subject and the page. */
async function expectForbidden(
  t: ExecutionContext,
  doing: Promise<unknown>,
  subject: string,
): Promise<void> {
  const error = await t.throwsAsync(doing, { code: "not-permitted" } as never, subject);
  t.true(error?.message.includes(`"${subject}`), error?.message);
  t.regex(error?.message ?? "", /docs\/security\.md|inboxPrefix/);
}

test.serial(
  "whoever may not receive replies under its prefix hears so when it connects",
  async (t) => {
    for (const role of ["client", "worker", "engine", "admin", "caller"]) {
      const { inboxPrefix: _, ...options } = deployment.as(role);
      await expectForbidden(t, connectNats(options), "_INBOX.");
    }
    await expectForbidden(
      t,
      connect({ ...deployment.as("client"), inboxPrefix: "_INBOX_worker" }),
      "_INBOX_worker.",
    );
  },
);

test.serial("an engine, a worker and a client say what their role may not do", async (t) => {
  const as = (role: string): NatsOptions => deployment.as(role);
  await expectForbidden(t, startEngine(as("engine")), "$JS.API.STREAM.CREATE.contrail_EVENTS");
  await prepareNamespace({ ...as("admin"), shards: 1 });
  await expectForbidden(t, startEngine(as("client")), "$JS.API.INFO");
  await expectForbidden(t, prepareNamespace(as("worker")), "$JS.API.INFO");
  const other = task({ name: "secret-task", run: () => 1 });
  await expectForbidden(
    t,
    startWorker({ ...as("worker"), tasks: [packItem, other] }),
    "$JS.API.CONSUMER.INFO.contrail_LOG_0.task-secret-task",
  );
  await expectForbidden(t, connect(as("observer")), "$JS.API.STREAM.INFO.contrail_LOG_0");

  const client = await deployment.client(ends, "worker");
  const start = client.start("secret-task", 1, { id: "x" });
  await expectForbidden(t, start, "contrail.log.0.secret-task.x.token.start");
  await expectForbidden(t, client.publish("order.paid"), "events.order.paid");
  const real = await (await deployment.client(ends)).start("secret-task", 1, { id: "x" });
  await expectForbidden(
    t,
    client.get("secret-task", "x").cancel(),
    "contrail.log.0.secret-task.x.cancel",
  );
  t.is((await real.view()).state.status, "queued");
  await expectForbidden(
    t,
    (await deployment.client(ends)).list(),
    "$JS.API.CONSUMER.CREATE.contrail_LOG_0.follow-",
  );
});

/** A server whose users may do everything but one thing. */
async function startWithout(
  t: ExecutionContext,
  users: Readonly<Record<string, string>>,
): Promise<TestServer> {
  const list = Object.entries(users).map(
    ([name, deny]) =>
      `{ user: ${name}, password: x, permissions { publish { allow: ">", deny: "${deny}" }, subscribe: ">" } }`,
  );
  const config = `accounts { A { jetstream: enabled, users = [ { user: all, password: x }, ${list.join(", ")} ] } }`;
  const file = join(temporaryFolder(t), "users.conf");
  writeFileSync(file, config);
  const server = await startTestServer(file);
  t.teardown(() => server.stop());
  return server;
}

test.serial(
  "a follower, a worker and its run end or go on as soon as what was missing is permitted",
  async (t) => {
    const server = await startWithout(t, {
      pulls: "$JS.API.CONSUMER.MSG.NEXT.>",
      commits: "contrail.log.*.*.*.h",
    });
    const as = (user: string): NatsOptions => ({ servers: server.url, user, pass: "x" });
    const engine = await startEngine({ ...as("all"), shards: 1 });
    t.teardown(() => engine.close());
    const client = await connect(as("all"));
    t.teardown(() => client.close());
    const run = await client.start(packItem, { sku: "tea" });

    // Pulling is asked for again and again, and each time it is told why it fails.
    const link = await connectNats(as("pulls"));
    t.teardown(() => link.close());
    const follower = follow(link, {
      stream: "contrail_LOG_0",
      subjects: ["contrail.log.0.>"],
      onMessage: () => {},
    });
    const next = "$JS.API.CONSUMER.MSG.NEXT.contrail_LOG_0.";
    await expectForbidden(t, follower.caughtUp, `${next}follow-`);
    await expectForbidden(t, follower.done, `${next}follow-`);
    for (const [user, subject] of [
      ["pulls", `${next}task-pack-item`],
      ["commits", "contrail.log.0.pack-item."],
    ] as const) {
      const lines: string[] = [];
      const tell = (message: string, fields?: object): void => {
        const { error, description } = (fields ?? {}) as { error?: Error; description?: string };
        lines.push([message, error?.message, description].join(" "));
      };
      const log = { debug: () => {}, info: () => {}, warn: tell, error: tell };
      const worker = await startWorker({ ...as(user), tasks: [packItem], log });
      const isTold = (line: string): boolean =>
        line.includes(`may not publish to "${subject}`) && line.includes("docs/security.md");
      await until(() => lines.some(isTold), { what: `${user} tells of ${subject}` });
      await worker.close();
    }
    const worker = await startWorker({ ...as("all"), tasks: [packItem] });
    t.teardown(() => worker.close());
    t.deepEqual(await run.result(), { parcel: "P-tea" });
  },
);
