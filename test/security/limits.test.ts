/**
 * What docs/security.md says that NATS cannot forbid. Each of these is possible with the credentials
 * of a role that may write to the log or read it. When a server refuses one of them, the page and the
 * configurations can promise more.
 */
import test from "ava";
import { prepareNamespace } from "../../engine/index.ts";
import { connect } from "../../shared/index.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { Names } from "../../shared/subjects.ts";
import { until } from "../helpers/until.ts";
import { Deployment } from "./deployment.ts";
import { Endings } from "./endings.ts";
import { subjectsIn } from "./stored.ts";

const LOG = ["contrail_LOG_0"];
const names = new Names("contrail", 1);
const ends = new Endings();
let deployment: Deployment;
let admin: NatsLink;

test.before(async () => {
  deployment = await Deployment.start("roles.conf");
  await prepareNamespace({ ...deployment.as("admin"), shards: 1 });
  admin = await deployment.link(ends, "admin");
});
test.after.always(async () => {
  await ends.run();
  await deployment?.server.stop();
});

/** Starts a run that nobody carries out, so that only its start is in the log. */
async function start(runId: string): Promise<string> {
  const client = await connect(deployment.as("client"));
  await client.start("fulfil-order", { id: runId }, { id: runId });
  await client.close();
  return names.run({ taskName: "fulfil-order", runId }).prefix;
}

test.serial("who may ask JetStream anything can have the answer stored in a history", async (t) => {
  const client = await deployment.intruder(t, "client");
  const [read, state, event] = [await start("read"), await start("state"), await start("event")];
  for (const [prefix, subject] of [
    [read, `$JS.API.DIRECT.GET.contrail_LOG_0.${read}.start`],
    [state, "$JS.API.STREAM.INFO.contrail_LOG_0"],
    [event, "events.order.paid"],
  ] as const) {
    t.false(await client.mayPublish({ subject: `${prefix}.h`, body: "forged" }), "not straight");
    t.true(await client.mayPublish({ subject, reply: `${prefix}.h` }), "but by way of an answer");
    await until(async () => (await subjectsIn(admin, LOG)).includes(`${prefix}.h`));
  }
});

test.serial(
  "who may write one subject of the log can have a schedule write any other",
  async (t) => {
    const client = await deployment.intruder(t, "client");
    const prefix = await start("scheduled");
    const headers = {
      "Nats-Schedule": "@at 2020-01-01T00:00:00Z",
      "Nats-Schedule-Target": `${prefix}.h`,
    };
    t.true(
      await client.mayPublish({
        subject: "contrail.log.0.any.thing.token.start",
        body: "x",
        headers,
      }),
    );
    await until(async () => (await subjectsIn(admin, LOG)).includes(`${prefix}.h`));
  },
);

test.serial(
  "a worker can make its own consumer group with the filter of another task",
  async (t) => {
    const worker = await deployment.intruder(t, "worker");
    const client = await connect(deployment.as("client"));
    await client.start("secret-task", { secret: "42" });
    await client.close();
    const at = "contrail_LOG_0.task-pack-item";
    const config = {
      ...{ name: "task-pack-item", durable_name: "task-pack-item", ack_policy: "explicit" },
      filter_subjects: ["contrail.log.0.secret-task.*.token.start"],
    };
    const body = JSON.stringify({ stream_name: "contrail_LOG_0", config, action: "create" });
    const made = await worker.ask({ subject: `$JS.API.CONSUMER.CREATE.${at}`, body });
    t.regex(made, /"num_pending":1\b/, "its tokens are there to be taken");
  },
);

test.serial(
  "a permission with a wildcard cannot keep a literal wildcard from a rollup",
  async (t) => {
    const client = await deployment.intruder(t, "client");
    const prefix = await start("literal");
    const subject = "contrail.log.0.*.*.token.start";
    t.true(await client.mayPublish({ subject, headers: { "Nats-Rollup": "sub" } }));
    await until(async () => !(await subjectsIn(admin, LOG)).includes(`${prefix}.token.start`));
  },
);

test.serial("who may write one subject of the log can erase all of its shard", async (t) => {
  const worker = await deployment.intruder(t, "worker");
  await start("erased");
  const subject = "contrail.log.0.pack-item.mine.h";
  t.true(await worker.mayPublish({ subject, headers: { "Nats-Rollup": "all" } }));
  await until(async () => (await subjectsIn(admin, LOG)).join() === subject);
});
