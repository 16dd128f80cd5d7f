import test from "ava";
import type { Client, RunHandle } from "../../shared/index.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { Names } from "../../shared/subjects.ts";
import { until } from "../helpers/until.ts";
import { type Attempt, Deployment, fulfilled, fulfilOrder } from "./deployment.ts";
import { Endings } from "./endings.ts";
import { stored, subjectsIn } from "./stored.ts";

const names = new Names("contrail", 2);
const prefix = names.run({ taskName: "fulfil-order", runId: "victim" }).prefix;
const ends = new Endings();
let deployment: Deployment;
let admin: NatsLink;
let client: Client;
/** A run that waits for its event while others try to harm it. */
let victim: RunHandle;

test.before(async () => {
  deployment = await Deployment.start("roles.conf");
  await deployment.run(ends);
  client = await deployment.client(ends);
  admin = await deployment.link(ends, "admin");
  victim = await client.start(fulfilOrder, { id: "victim" }, { id: "victim" });
  await until(async () => (await victim.view()).hasRegistration);
});
test.after.always(async () => {
  await ends.run();
  await deployment?.server.stop();
});

/** Subjects of everything that is inside: nobody outside may publish or listen there. */
const INSIDE: readonly string[] = [
  ...["start", "ready", "h", "c", "wait", "timer", "cancel", "deadline", "expired"].map(
    (kind) => `${prefix}.${kind}`,
  ),
  ...[
    "contrail.log.>",
    "contrail.log.*.*.*.h",
    ">",
    "$KV.contrail_engine.lead",
    "contrail.end.a.1",
  ],
  ...["$O.contrail_payloads.M.x", "$JS.API.INFO", "$JS.API.STREAM.INFO.contrail_LOG_0"],
  ...["$JS.API.STREAM.MSG.GET.contrail_LOG_0", "$JS.API.DIRECT.GET.contrail_LOG_0"],
  ...["$JS.API.STREAM.PURGE.contrail_LOG_0", "$JS.API.STREAM.DELETE.contrail_LOG_0"],
  ...["$JS.API.CONSUMER.MSG.NEXT.contrail_LOG_0.task-fulfil-order", "$SRV.PING"],
  ...["$JS.ACK.contrail_LOG_0.task-fulfil-order.1.1.1.0.0", "_INBOX_engine.x", "_R_.x"],
];

/** Where answers would be harmful, if whoever asks could choose where they go. */
const REPLIES: readonly string[] = [
  ...[
    `${prefix}.h`,
    `${prefix}.token.ready`,
    `${prefix}.cancel`,
    "contrail.log.>",
    "contrail.log.0.*.*.h",
  ],
  ...[
    "events.order.approved",
    "contrail.api.cancel.fulfil-order",
    "contrail.api.start.secret-task",
  ],
  ...["$KV.contrail_engine.lead", "$JS.API.STREAM.PURGE.contrail_LOG_0"],
  ...["$JS.API.STREAM.DELETE.contrail_LOG_0", "contrail.live.fulfil-order.victim.h"],
];

for (const [role, may] of [
  ["caller", { publish: ["contrail.api.get.fulfil-order"], listen: [] }],
  ["publisher", { publish: ["events.order.x"], listen: [] }],
  ["observer", { publish: ["contrail.api.list"], listen: ["contrail.live.>"] }],
] as const) {
  test.serial(
    `the account of outsiders keeps a ${role} from everything but its own work`,
    async (t) => {
      const intruder = await deployment.intruder(t, role);
      const before = await stored(admin);
      const all = [
        ...INSIDE,
        ...[
          "contrail.api.start.secret-task",
          "contrail.api.retry.fulfil-order",
          "events.invoice.paid",
        ],
        ...["contrail.api.get.fulfil-order", "contrail.api.list", "contrail.live.fulfil-order.x.h"],
      ];
      const forbidden = all.filter((subject) => !isOneOf(role, subject));
      for (const subject of forbidden)
        for (const headers of [{}, { "Nats-Rollup": "all" }])
          t.false(
            await intruder.mayPublish({ subject, headers }),
            `${role} may publish to ${subject}`,
          );
      for (const subject of [
        ">",
        "contrail.>",
        "contrail.log.>",
        "_INBOX_client.>",
        "events.>",
        "$JS.>",
      ])
        t.false(await intruder.mayListen(subject), `${role} may listen to ${subject}`);
      t.is(await intruder.mayListen("contrail.live.>"), may.listen.length > 0);
      t.is(
        await intruder.mayListen("contrail.api.>"),
        false,
        "nobody answers in the engine's place",
      );
      t.deepEqual(await stored(admin), before, "the log is as it was");
      for (const subject of may.publish) t.true(await intruder.mayPublish({ subject }));
    },
  );
}

function isOneOf(role: string, subject: string): boolean {
  if (role === "observer") return /^contrail\.api\.(get|list|result)/.test(subject);
  if (role === "publisher") return subject.startsWith("events.order.");
  return subject === "contrail.api.get.fulfil-order";
}

test.serial(
  "an answer to an outsider is stored nowhere, whatever reply subject it names",
  async (t) => {
    const questions: { readonly [role: string]: Attempt } = {
      caller: { subject: "contrail.api.get.fulfil-order", body: '{"id":"victim"}' },
      observer: { subject: "contrail.api.list", body: "{}" },
    };
    const before = await stored(admin);
    for (const [role, question] of Object.entries(questions)) {
      const intruder = await deployment.intruder(t, role);
      for (const reply of REPLIES) t.true(await intruder.mayPublish({ ...question, reply }));
      await intruder.ask(question); // the last answer: those before it are given too
    }
    t.deepEqual(await stored(admin), before);
    // The acknowledgement of an event is an answer too, by the stream itself.
    const publisher = await deployment.intruder(t, "publisher");
    const event = { subject: "events.order.noise", body: "1" };
    for (const reply of REPLIES) t.true(await publisher.mayPublish({ ...event, reply }));
    await publisher.ask(event);
    const after = await stored(admin);
    const added = after.slice(before.length).map((line) => line.split(" ")[2]);
    t.deepEqual(after.slice(0, before.length), before);
    t.deepEqual(new Set(added), new Set(["events.order.noise"]), "the events and nothing else");
    t.is(added.length, REPLIES.length + 1);
  },
);

test.serial("a publisher's headers and literal wildcards erase and delay nothing", async (t) => {
  const publisher = await deployment.intruder(t, "publisher");
  const before = await stored(admin);
  for (const [name, value] of [
    ["Nats-Rollup", "all"],
    ["Nats-Rollup", "sub"],
    ["Nats-TTL", "1s"],
    ["Nats-Schedule", "@at 2030-01-01T00:00:00Z"],
    ["Nats-Scheduler", "events.order.x"],
    ["Nats-Schedule-Next", "purge"],
    ["Nats-Batch-Id", "forged"],
    ["Nats-Expected-Last-Sequence", "1000000"],
    ["Nats-Incr", "1"],
  ] as const)
    for (const subject of ["events.order.approved", "events.order.*", "events.order.>"]) {
      const headers = {
        [name]: value,
        ...(name === "Nats-Schedule" ? { "Nats-Schedule-Target": "events.order.approved" } : {}),
        ...(name === "Nats-Batch-Id"
          ? { "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1" }
          : {}),
      };
      const answer = await publisher.ask({ subject, headers, body: '{"id":"victim"}' });
      t.true(answer.includes('"error"'), `${name} on ${subject}: ${answer}`);
    }
  t.deepEqual(await stored(admin), before);
  // Without any such header they are events of a strange name, which nobody waits for.
  for (const subject of ["events.order.*", "events.order.>"])
    t.false((await publisher.ask({ subject, body: '{"id":"victim"}' })).includes('"error"'));
  t.deepEqual((await stored(admin)).slice(0, before.length), before);
  t.is((await victim.view()).state.status, "waiting");
});

test.serial("what a caller sends reaches the log as input and id alone", async (t) => {
  const caller = await deployment.intruder(t, "caller");
  const before = await stored(admin);
  const ask = async (body: unknown, headers: Readonly<Record<string, string>> = {}) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const subject = "contrail.api.start.fulfil-order";
    return JSON.parse(await caller.ask({ subject, headers, body: text })) as {
      readonly code?: string;
      readonly id?: string;
    };
  };
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  for (const body of [
    "no JSON",
    "[]",
    "null",
    '"x"',
    "7",
    '{"id":7}',
    '{"id":""}',
    `{"input":${deep}}`,
  ])
    t.is((await ask(body)).code, "invalid-input", body.slice(0, 40));
  t.is((await ask({ id: "x".repeat(200) })).code, "invalid-input");
  t.deepEqual(await stored(admin), before, "nothing of it is stored");

  const ids = [
    "*",
    ">",
    "a.b",
    "a b",
    "..",
    "$JS.API",
    "\u0000",
    "_",
    "ü\n",
    "victim.h",
    "Nats-Rollup: all",
  ];
  for (const id of ids) t.is((await ask({ id, input: { id: "nobody" } })).id, id);
  const extra = {
    ...{
      by: "admin",
      nonce: "x",
      parent: { taskName: "a", runId: "b", startSequence: 1, key: "k" },
    },
    ...{ fork: {}, events: { after: 0, created: "" }, taskName: "secret-task", __proto__: null },
  };
  await ask({ ...extra, id: "extra", input: { id: "nobody" } });
  await ask(
    '{"id":"polluted","input":{"__proto__":{"id":"x"},"id":"nobody"},"__proto__":{"by":"y"}}',
  );
  await ask({ id: "rolled", input: { id: "nobody" } }, { "Nats-Rollup": "all" });
  await ask(
    { id: "timed", input: { id: "nobody" } },
    { "Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": `${prefix}.h` },
  );
  const after = await stored(admin);
  t.deepEqual(
    before.filter((line) => !after.includes(line)),
    [],
    "nothing was erased",
  );
  const allowed = [...ids, "extra", "polluted", "rolled", "timed"].map(
    (runId) => names.run({ taskName: "fulfil-order", runId }).prefix,
  );
  const added = (await subjectsIn(admin)).filter(
    (subject) => !before.some((line) => line.includes(` ${subject} `)),
  );
  for (const subject of added)
    t.true(
      allowed.some((each) => subject.startsWith(`${each}.`)),
      subject,
    );
  const { startedBy } = await client.get("fulfil-order", "extra").view();
  t.is(startedBy, "api");
  t.is(({} as { by?: string }).by, undefined);
});

test.serial("the victim of all this goes on as if nothing had been tried", async (t) => {
  await client.publish("order.approved", { id: "victim", by: "Bob" });
  t.deepEqual(await victim.result(), fulfilled("victim", "Bob"));
});
