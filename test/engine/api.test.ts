import test, { type ExecutionContext } from "ava";
import { apiService } from "../../engine/api.ts";
import { VERSION } from "../../engine/version.ts";
import { clientOver } from "../../shared/client.ts";
import { systemClock } from "../../shared/clock.ts";
import { headersOf } from "../../shared/jetstream/headers.ts";
import { toJson } from "../../shared/json.ts";
import { silentLog } from "../../shared/logger.ts";
import { decodeCancel } from "../../shared/messages.ts";
import { encodeToken } from "../../shared/subjects.ts";
import { type Namespace, namespaceOf } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { startTestServer, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

interface Reply {
  readonly status: number;
  readonly error: string;
  readonly body: unknown;
}

interface Api extends Namespace {
  ask(subject: string, request?: unknown): Promise<Reply>;
  readonly stop: () => Promise<void>;
}

async function apiOf(t: ExecutionContext, topology: TestTopology): Promise<Api> {
  const at = await namespaceOf(t, topology);
  const { link, names } = at;
  const client = clientOver(link, names, "api");
  const service = apiService({
    link,
    names,
    client,
    clock: systemClock,
    log: silentLog,
    name: "e",
  });
  service.start();
  await link.nc.flush();
  t.teardown(() => service.stop());
  return {
    ...at,
    stop: () => service.stop(),
    ask: async (subject, request) => {
      const payload = typeof request === "string" ? request : JSON.stringify(request ?? {});
      const message = await link.nc.request(subject, payload, { timeout: 5_000 });
      const headers = headersOf(message);
      return {
        status: Number(headers.get("Nats-Service-Error-Code") ?? 0),
        error: headers.get("Nats-Service-Error") ?? "",
        body: message.data.length === 0 ? undefined : message.json(),
      };
    },
  };
}

let topology: TestTopology;
test.before(async () => {
  topology = await startTestServer();
});
test.after.always(() => topology?.stop());

test.serial("a run is started, seen, canceled and awaited with JSON", async (t) => {
  const api = await apiOf(t, topology);
  const started = await api.ask("contrail.api.start.greet", { input: { name: "Ada" }, id: "g1" });
  t.deepEqual(started.body, { task: "greet", id: "g1" });
  t.deepEqual(
    (await api.ask("contrail.api.start.greet", { input: { name: "Ada" }, id: "g1" })).body,
    {
      task: "greet",
      id: "g1",
    },
  );
  const other = await api.ask("contrail.api.start.greet", { input: { name: "Bob" }, id: "g1" });
  t.is(other.status, 409);
  t.like(other.body, { code: "run-conflict" });

  const shown = await api.ask("contrail.api.get.greet", { id: "g1" });
  t.like(shown.body, { task: "greet", id: "g1", status: "queued", input: { name: "Ada" } });

  const { link, names } = api;
  const run = new FakeRun(link, names, { taskName: "greet", runId: "g1" });
  run.startSequence =
    (await link.reader.lastFor(run.stream, `${run.prefix}.token.start`))?.sequence ?? 0;
  const early = await api.ask("contrail.api.result.greet", { id: "g1", timeoutMs: 50 });
  t.is(early.status, 408);
  t.like(early.body, { code: "timeout" });

  t.deepEqual((await api.ask("contrail.api.cancel.greet", { id: "g1", reason: "why not" })).body, {
    task: "greet",
    id: "g1",
  });
  const cancel = await link.reader.lastFor(run.stream, `${run.prefix}.cancel`);
  t.is(decodeCancel(cancel?.data ?? new Uint8Array(0), "").reason, "why not");

  const waiting = api.ask("contrail.api.result.greet", { id: "g1" });
  await run.end();
  t.deepEqual((await waiting).body, { task: "greet", id: "g1", status: "completed", output: "g1" });
  t.like((await api.ask("contrail.api.get.greet", { id: "g1" })).body, {
    status: "completed",
    output: "g1",
  });
  t.like((await api.ask("contrail.api.list", { task: "greet", status: "completed" })).body, {
    runs: [{ task: "greet", id: "g1", status: "completed", isChild: false }],
  });
  t.deepEqual((await api.ask("contrail.api.list", { task: "nothing" })).body, { runs: [] });
});

test.serial(
  "a request whose reply subject is no inbox is neither carried out nor answered",
  async (t) => {
    const { link, names } = await apiOf(t, topology);
    const { prefix, stream } = names.run({ taskName: "greet", runId: "deputy" });
    const replies = [
      `${prefix}.h`,
      `${prefix}.token.ready`,
      "events.forged",
      "$JS.API.INFO",
      "contrail.x",
    ];
    for (const reply of replies) {
      for (const subject of ["contrail.api.start.greet", "contrail.api.nothing", "$SRV.INFO"])
        link.nc.publish(subject, '{"id":"deputy","input":1}', { reply });
      link.nc.publish("contrail.api.start.greet", "no JSON", { reply });
    }
    // Requests of one connection are received in order, so those before this one were seen to.
    const { data } = await link.nc.request("contrail.api.start.greet", '{"id":"last","input":1}');
    t.is(Buffer.from(data).toString(), '{"task":"greet","id":"last"}');
    t.deepEqual(await link.reader.readSubject(stream, `${prefix}.>`), []);
    t.deepEqual(await link.reader.readSubject(names.eventsStream, "events.forged"), []);
  },
);

test.serial("a run that failed or was canceled is a result", async (t) => {
  const api = await apiOf(t, topology);
  const error = { name: "TypeError", message: "it is broken", code: "broken" };
  for (const status of ["failed", "canceled"] as const) {
    const run = await new FakeRun(api.link, api.names, { taskName: "bad", runId: status }).start();
    await run.commit([{ kind: "ended", outcome: { status, error } }], status);
    const { body } = await api.ask("contrail.api.result.bad", { id: status });
    t.like(body, { task: "bad", id: status, status });
    t.regex(JSON.stringify(body), /it is broken/);
  }
});

test.serial(
  "a run that stands still is repaired once, and a run that does not is left",
  async (t) => {
    const api = await apiOf(t, topology);
    const { link, names } = api;
    const error = { name: "TypeError", message: "it is broken" };
    const failed = await new FakeRun(link, names, { taskName: "bad", runId: "f" }).start();
    await failed.commit([{ kind: "ended", outcome: { status: "failed", error } }], "failed");
    const paused = await new FakeRun(link, names, { taskName: "bad", runId: "p" }).start();
    await paused.commit([{ kind: "paused", reason: "why", details: null }], "paused");
    for (const [verb, fields] of [
      ["retry", { id: "f", reason: "because" }],
      ["retry", { id: "f" }],
      ["skip", { id: "p", step: "charge", result: 7 }],
    ] as const)
      t.deepEqual((await api.ask(`contrail.api.${verb}.bad`, fields)).body, {
        task: "bad",
        id: fields.id,
      });
    const forked = await api.ask("contrail.api.fork.bad", { id: "f", newId: "g", input: 1 });
    t.deepEqual(forked.body, { task: "bad", id: "g" });
    t.like((await api.ask("contrail.api.get.bad", { id: "g" })).body, {
      status: "queued",
      input: 1,
    });
    const refused = await api.ask("contrail.api.resume.bad", { id: "p" });
    t.is(refused.status, 409);
    t.regex(refused.error, /api asked to skip it/);
    t.is((await api.ask("contrail.api.retry.bad", { id: "f", from: "nothing" })).status, 409);
    t.is((await api.ask("contrail.api.skip.bad", { id: "p" })).status, 400);
    const tokens = await link.reader.readSubject(
      names.run(failed.address).stream,
      "contrail.log.>",
    );
    t.is(tokens.filter(({ subject }) => subject === `${failed.prefix}.token.ready`).length, 1);
  },
);

test.serial("a request that cannot be used is answered with its fault", async (t) => {
  const api = await apiOf(t, topology);
  for (const [subject, request, status, expected] of [
    ["get.greet", "{", 400, /not JSON/],
    ["get.greet", "[1]", 400, /Expected a JSON object/],
    ["get.greet", {}, 400, /"id" is missing/],
    ["get.greet", { id: 7 }, 400, /"id" is 7/],
    ["get.greet", { id: "none" }, 404, /no run "none"/],
    ["result.greet", { id: "none" }, 404, /no run "none"/],
    ["result.greet", { id: "none", timeoutMs: -1 }, 400, /"timeoutMs" is -1/],
    ["cancel.greet", { id: "none" }, 404, /no run "none"/],
    ["cancel.greet", { id: "none", reason: {} }, 400, /"reason"/],
    ["start.greet", { id: "x".repeat(200) }, 400, /run id.*200 bytes/],
    ["list", { status: "lost" }, 400, /status is "lost".*queued/],
    ["list", { limit: 1e9 }, 400, /"limit"/],
  ] as const) {
    const reply = await api.ask(`contrail.api.${subject}`, request);
    t.is(reply.status, status, `${subject} ${JSON.stringify(request)}`);
    t.regex(reply.error, expected);
    t.regex((reply.body as { message: string }).message, expected);
  }
});

test.serial("a task's name may be written plainly or encoded", async (t) => {
  const api = await apiOf(t, topology);
  for (const [written, taskName] of [
    [encodeToken("send mail"), "send mail"],
    ["mail.send", "mail.send"],
    [encodeToken("mail.send"), "mail.send"],
    ["snake_case", "snake_case"],
    ["snake__case", "snake_case"],
    ["käse", "käse"],
  ] as const) {
    const { body } = await api.ask(`contrail.api.start.${written}`, { id: written });
    t.deepEqual(body, { task: taskName, id: written });
    t.truthy(await api.link.reader.lastFor(...startOf(api, { taskName, runId: written })));
  }
});

function startOf(
  { names }: Namespace,
  run: { taskName: string; runId: string },
): [stream: string, subject: string] {
  const { stream, prefix } = names.run(run);
  return [stream, `${prefix}.token.start`];
}

test.serial("the service is found, described and counted as NATS micro services are", async (t) => {
  const api = await apiOf(t, topology);
  await api.ask("contrail.api.list");
  await api.ask("contrail.api.get.greet", {});
  const ping = (await api.ask("$SRV.PING")).body as { id: string };
  t.like(ping, {
    type: "io.nats.micro.v1.ping_response",
    name: "contrail",
    version: VERSION,
    metadata: { namespace: "contrail", engine: "e" },
  });
  const info = (await api.ask("$SRV.INFO.contrail")).body as { endpoints: { subject: string }[] };
  t.deepEqual(
    info.endpoints.map(({ subject }) => subject),
    [
      ...[
        "start.>",
        "get.>",
        "result.>",
        "cancel.>",
        "resume.>",
        "retry.>",
        "fork.>",
        "skip.>",
        "list",
      ],
    ].map((rest) => `contrail.api.${rest}`),
  );
  const stats = (await api.ask(`$SRV.STATS.contrail.${ping.id}`)).body as {
    endpoints: { name: string; num_requests: number; num_errors: number; last_error: string }[];
  };
  t.like(
    stats.endpoints.find(({ name }) => name === "list"),
    { num_requests: 1, num_errors: 0 },
  );
  const get = stats.endpoints.find(({ name }) => name === "get");
  t.like(get, { num_requests: 1, num_errors: 1 });
  t.regex(get?.last_error ?? "", /^400:/);
});

test.serial(
  "requests that wait are answered when the service stops, and new ones are not",
  async (t) => {
    const api = await apiOf(t, topology);
    await api.ask("contrail.api.start.slow", { id: "s1" });
    const waiting = api.ask("contrail.api.result.slow", { id: "s1" });
    await until(async () => {
      const { body } = await api.ask("$SRV.STATS.contrail");
      return body;
    });
    await api.stop();
    const reply = await waiting;
    t.is(reply.status, 408);
    t.regex(reply.error, /closing/);
    await t.throwsAsync(api.ask("contrail.api.list"));
  },
);

test("whatever a log can hold has a form in JSON", (t) => {
  const value = {
    big: 12345678901234567890n,
    when: new Date(0),
    bytes: Buffer.from("hi"),
    view: Uint8Array.from([1, 2]),
    map: new Map<unknown, unknown>([
      ["a", 1],
      ["__proto__", new Set([1n])],
    ]),
    odd: [undefined, Number.NaN, /x/, new TypeError("no")],
    like: { type: "Buffer", data: [1] },
  };
  t.is(
    toJson(value),
    '{"big":"12345678901234567890","when":"1970-01-01T00:00:00.000Z","bytes":"aGk=","view":"AQI=","map":{"a":1,"__proto__":["1"]},"odd":[null,null,"/x/",{"name":"TypeError","message":"no"}],"like":{"type":"Buffer","data":[1]}}',
  );
  t.is(toJson(undefined), "null");
  t.is(toJson(7n), '"7"');
  const keys = new Map<unknown, unknown>([
    [{ toString: 1 }, 2],
    [[{ valueOf: null }], 3],
    [null, 4],
  ]);
  t.is(toJson(keys), '{"{\\"toString\\":1}":2,"[{\\"valueOf\\":null}]":3,"null":4}');
});
