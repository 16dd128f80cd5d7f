import test, { type ExecutionContext } from "ava";
import type { Client, RunHandle } from "../../shared/index.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { Names } from "../../shared/subjects.ts";
import { until } from "../helpers/until.ts";
import { type Attempt, Deployment, fulfilled, fulfilOrder } from "./deployment.ts";
import { Endings } from "./endings.ts";
import { stored } from "./stored.ts";

const names = new Names("contrail", 2);
const ROLLUPS = [{ "Nats-Rollup": "all" }, { "Nats-Rollup": "sub" }];
let deployment: Deployment;
let admin: NatsLink;
let client: Client;
/** A run that waits for its event while others try to harm it, and one of another task. */
let victim: RunHandle;
const other = { taskName: "secret-task", runId: "secret-run" };
const ends = new Endings();

test.before(async () => {
  deployment = await Deployment.start("roles.conf");
  await deployment.run(ends);
  client = await deployment.client(ends);
  admin = await deployment.link(ends, "admin");
  victim = await client.start(fulfilOrder, { id: "victim" }, { id: "victim" });
  await client.start(other.taskName, { secret: "42" }, { id: other.runId });
  await untilRegistered(victim);
});
test.after.always(async () => {
  await ends.run();
  await deployment?.server.stop();
});

async function untilRegistered(run: RunHandle): Promise<void> {
  await until(async () => (await run.view()).hasRegistration, { what: "the run is registered" });
}

const historyOf = (run = { taskName: "fulfil-order", runId: "victim" }): string =>
  `${names.run(run).prefix}.h`;
const subjectOf = (kind: string, run = { taskName: "fulfil-order", runId: "victim" }): string =>
  `${names.run(run).prefix}.${kind}`;

/** Tries everything, and expects that the server forbids it all and nothing is stored or lost. */
async function expectForbidden(
  t: ExecutionContext,
  role: string,
  { attempts, subjects }: { readonly attempts: readonly Attempt[]; readonly subjects: string[] },
): Promise<void> {
  const intruder = await deployment.intruder(t, role);
  const before = await stored(admin);
  t.true(before.length > 0);
  for (const attempt of attempts)
    t.false(await intruder.mayPublish(attempt), `${role} may publish to ${attempt.subject}`);
  for (const subject of subjects)
    t.false(await intruder.mayListen(subject), `${role} may listen to ${subject}`);
  t.deepEqual(await stored(admin), before, "the log is as it was");
  t.is((await victim.view()).state.status, "waiting");
}

/** What nobody but the servers' operator may ask JetStream for. */
function streamRequests(): Attempt[] {
  const stream = "contrail_LOG_0";
  return [
    ...[`STREAM.DELETE.${stream}`, `STREAM.MSG.DELETE.${stream}`, `STREAM.SNAPSHOT.${stream}`],
    ...[`STREAM.RESTORE.${stream}`, `STREAM.LEADER.STEPDOWN.${stream}`],
    ...[`STREAM.PEER.REMOVE.${stream}`, "ACCOUNT.PURGE.CONTRAIL", "META.LEADER.STEPDOWN"],
    ...[`CONSUMER.PAUSE.${stream}.task-fulfil-order`, `CONSUMER.RESET.${stream}.task-fulfil-order`],
    ...[`CONSUMER.DURABLE.CREATE.${stream}.all`, `CONSUMER.CREATE.${stream}`],
  ].map((path) => ({ subject: `$JS.API.${path}`, body: "" }));
}

const setsUp: Attempt[] = ["STREAM.CREATE.more", "STREAM.UPDATE.contrail_LOG_0"].map((path) => ({
  subject: `$JS.API.${path}`,
  body: '{"name":"contrail_LOG_0","subjects":["contrail.log.0.>"]}',
}));
const purges: Attempt[] = [{ subject: "$JS.API.STREAM.PURGE.contrail_LOG_0", body: "" }];

/** Takes tokens of a task, answers those of others, or changes its consumer group. */
function takes(taskName: string): Attempt[] {
  const at = `contrail_LOG_${names.run({ taskName, runId: "x" }).shard}.task-${taskName}`;
  return [
    { subject: `$JS.API.CONSUMER.MSG.NEXT.${at}`, body: '{"batch":1,"no_wait":true}' },
    { subject: `$JS.API.CONSUMER.CREATE.${at}`, body: '{"action":"update"}' },
    { subject: `$JS.API.CONSUMER.DELETE.${at}` },
    { subject: `$JS.ACK.${at}.1.1.1.0.0`, body: "+ACK" },
  ];
}

/** A message on every subject of a run's log, but those that are permitted. */
function forges(run: typeof other, but: readonly string[] = []): Attempt[] {
  return ["start", "ready", "h", "c", "wait", "timer", "cancel", "deadline", "expired"]
    .filter((kind) => !but.includes(kind))
    .flatMap((kind) => {
      const subject = subjectOf(kind, run);
      const at = { "Nats-Schedule": "@at 2030-01-01T00:00:00Z" };
      return [
        { subject, body: "forged" },
        ...ROLLUPS.map((headers) => ({ subject, headers })),
        { subject, headers: { ...at, "Nats-Schedule-Target": historyOf() } },
        {
          subject,
          headers: { "Nats-Scheduler": subjectOf("timer"), "Nats-Schedule-Next": "purge" },
        },
      ];
    });
}

/** Subjects with literal wildcards: a server stores them, and a rollup there goes by them. */
const literals: Attempt[] = ROLLUPS.flatMap((headers) =>
  [">", "contrail.>", "contrail.log.>", "contrail.log.0.>", "contrail.log.0.*.*.h"].flatMap(
    (subject) => [
      { subject, headers },
      { subject: subject.replace(".0.", ".*."), headers },
    ],
  ),
);
const leases: Attempt[] = [...ROLLUPS, {}].map((headers) => ({
  subject: "$KV.contrail_slots_durable.forged",
  headers,
}));
const lead: Attempt[] = [...ROLLUPS, {}].flatMap((headers) =>
  ["$KV.contrail_engine.lead", "$KV.contrail_engine.>", "$KV.contrail_engine.*"].map((subject) => ({
    subject,
    headers,
  })),
);
const feeds: Attempt[] = [{ subject: "contrail.live.fulfil-order.victim.h", body: "forged" }];
const inboxes = (role: string): string[] =>
  ["admin", "engine", "worker", "client"]
    .filter((each) => each !== role)
    .map((each) => `_INBOX_${each}.>`)
    .concat([">", "*.>", "_INBOX.>", "contrail.log.>", "events.>", "$JS.>", "$KV.>", "$O.>"]);

test.serial(
  "each role does its work with the least permissions, and a run of every kind ends",
  async (t) => {
    const run = await client.start(fulfilOrder, { id: "1" }, { id: "order-1" });
    const followed: string[] = [];
    const feed = await deployment.link(t, "observer");
    feed.nc.subscribe("contrail.live.fulfil-order.order-1.>", {
      callback: (error, message) => {
        if (error === null) followed.push(message.subject);
      },
    });
    await feed.nc.flush();
    const publisher = await deployment.link(t, "publisher");
    const outcome = await publisher.publisher.publish(
      "events.order.approved",
      Buffer.from(JSON.stringify({ id: "1", by: "Ada" })),
    );
    t.like(outcome, { ok: true, stream: "contrail_EVENTS" });
    t.deepEqual(await run.result(), fulfilled("1", "Ada"));
    await until(() => followed.includes("contrail.live.fulfil-order.order-1.h"));
    t.like(await run.why(), { status: "completed" });
    // Inputs that are too large for the log go through the object store, by client and by worker.
    const sku = "x".repeat(300_000);
    const large = await client.start("pack-item", { sku });
    t.deepEqual(await large.result(), { parcel: `P-${sku}` });
    const canceled = await client.start(fulfilOrder, { id: "2" }, { id: "order-2" });
    await untilRegistered(canceled);
    await canceled.cancel("not wanted");
    await t.throwsAsync(canceled.result(), { code: "run-canceled" } as never);
    // A run without a worker is ended by the engine, when it is canceled or its time is over.
    const late = await client.start("nobody", null, { queueTimeout: "1s" });
    await t.throwsAsync(late.result(), { code: "run-failed" } as never);
    const unbegun = await client.start("nobody", null);
    await unbegun.cancel();
    await t.throwsAsync(unbegun.result(), { code: "run-canceled" } as never);
  },
);

test.serial("an admin lists, shows and repairs", async (t) => {
  const operator = await deployment.client(t, "admin");
  const runs = await operator.list();
  t.true(runs.some(({ runId }) => runId === "victim"));
  t.is((await operator.leases()).length, 2);
  const run = operator.get("fulfil-order", "victim");
  t.is((await run.view()).state.status, "waiting");
  await t.throwsAsync(run.resume(), { code: "repair-refused" } as never);
});

test.serial(
  "a client can neither forge what others write nor touch streams, claims and leases",
  (t) =>
    expectForbidden(t, "client", {
      attempts: [
        ...forges({ taskName: "fulfil-order", runId: "victim" }, ["start", "cancel", "deadline"]),
        ...[...literals, ...leases, ...lead, ...feeds, ...takes("fulfil-order")],
        ...[...streamRequests(), ...setsUp, ...purges],
        { subject: "$JS.API.STREAM.INFO.KV_contrail_engine" },
        { subject: "contrail.end.forged.1", body: "forged" },
        { subject: "_INBOX_worker.forged", body: "forged" },
      ],
      subjects: [...inboxes("client"), "contrail.api.>", "$SRV.>"],
    }),
);

test.serial("a worker can write to no task but those it serves, and take no other claims", (t) =>
  expectForbidden(t, "worker", {
    attempts: [
      ...[...forges(other), ...takes(other.taskName)],
      ...forges({ taskName: "fulfil-order", runId: "victim" }, ["h", "c", "wait", "timer"]),
      ...[...literals, ...lead, ...feeds, ...streamRequests(), ...setsUp, ...purges],
      { subject: "events.order.approved", body: '{"id":"victim"}' },
      { subject: "$JS.API.CONSUMER.DELETE.contrail_LOG_0.task-fulfil-order" },
      { subject: "_INBOX_client.forged", body: "forged" },
    ],
    subjects: [
      ...inboxes("worker"),
      "contrail.api.>",
      "$SRV.>",
      "contrail.end.>",
      "contrail.live.>",
    ],
  }),
);

test.serial("an engine can neither publish events nor change streams, leases and claims", (t) =>
  expectForbidden(t, "engine", {
    attempts: [
      ...forges(other, ["ready", "h", "c", "start", "cancel", "deadline"]),
      ...[...leases, ...feeds, ...streamRequests(), ...setsUp],
      ...literals.filter(({ subject }) => !subject.endsWith(".h")),
      { subject: "events.order.approved", body: '{"id":"victim"}' },
      { subject: "$JS.ACK.contrail_LOG_0.task-fulfil-order.1.1.1.0.0", body: "+ACK" },
      { subject: "_INBOX_worker.forged", body: "forged" },
    ],
    subjects: inboxes("engine"),
  }),
);

test.serial("an admin can neither erase anything nor forge histories, leases and the lead", (t) =>
  expectForbidden(t, "admin", {
    attempts: [
      ...forges(other, ["ready", "start", "cancel", "deadline"]),
      ...[...leases, ...lead, ...feeds, ...streamRequests(), ...purges, ...literals],
      { subject: "$JS.ACK.contrail_LOG_0.task-fulfil-order.1.1.1.0.0", body: "+ACK" },
      { subject: "contrail.end.forged.1", body: "forged" },
    ],
    subjects: [...inboxes("admin"), "contrail.api.>", "$SRV.>"],
  }),
);

test.serial("the victim of all this goes on as if nothing had been tried", async (t) => {
  await client.publish("order.approved", { id: "victim", by: "Bob" });
  t.deepEqual(await victim.result(), fulfilled("victim", "Bob"));
});
