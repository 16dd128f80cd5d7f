/** What an examination says of what the namespace survives. */
import test from "ava";
import { durabilityFinding } from "../../../engine/doctor/durability.ts";
import { examine } from "../../../engine/doctor/examine.ts";
import type { SyncSetting } from "../../../engine/doctor/sync.ts";
import { setupNamespace } from "../../../engine/setup.ts";
import { callApi, errorOf } from "../../../shared/jetstream/api.ts";
import { connectNats } from "../../../shared/jetstream/connection.ts";
import { startTestCluster, startTestServer } from "../../helpers/nats.ts";

const late: SyncSetting = { server: "a", isAlways: false, intervalMs: 120_000 };
const always: SyncSetting = { server: "b", isAlways: true, intervalMs: 120_000 };

test("each setting of the servers is said to survive what it survives", (t) => {
  const apart = ["a.example", "b.example", "c.example"];
  for (const [replicas, settings, hosts, verdict, message] of [
    [
      1,
      [],
      ["a"],
      "note",
      /One server .* unless the servers sync each one, which could not be seen/,
    ],
    [1, [late], ["a"], "note", /One server .* can lose what was acknowledged in the last 2 min/],
    [1, [always], ["a"], "note", /loses nothing either .* with its disk everything is lost/],
    [3, [late], apart, "note", /any one of them, disk included; .* in the last 2 min/],
    [3, [always, late], apart, "note", /in the last 2 min/],
    [3, [always], apart, "ok", /any one of them, disk included; .* loses nothing either/],
    [3, [always], ["a", "a", "a"], "note", /All servers that can be seen are at a: what takes/],
    [5, [always], apart, "ok", /any two of them/],
  ] as const) {
    const finding = durabilityFinding({ replicas, settings, hosts });
    t.is(finding.verdict, verdict, finding.message);
    t.regex(finding.message, message);
    t.regex(finding.message, /only backups help, and a mirror in another account/);
    t.is(finding.check, "durability");
    t.deepEqual(finding.details, {
      replicas,
      synced: settings.length === 0 ? "unknown" : settings.every(({ isAlways }) => isAlways),
      hosts: [...new Set(hosts)],
    });
  }
});

test("a mirror that the server lets answer reads of the log is a problem, and one of something else is not", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await connectNats({ servers: server.url });
  t.teardown(() => link.close());
  await setupNamespace(link, { shards: 1 });
  for (const [name, config] of Object.entries({
    other: { subjects: ["other"], allow_direct: true },
    other_copy: { mirror: { name: "other" } },
    log_copy: { mirror: { name: "contrail_LOG_0" } },
  })) {
    const answer = await callApi(link.requests, `STREAM.CREATE.${name}`, { name, ...config });
    t.is(errorOf(answer), undefined, name);
  }
  const findings = await examine({ servers: server.url });
  const mirrors = findings.filter(({ check }) => check === "mirror");
  t.deepEqual(
    mirrors.map(({ verdict, details }) => ({ verdict, details })),
    [{ verdict: "problem", details: { mirror: "log_copy", stream: "contrail_LOG_0" } }],
  );
});

test("a cluster on one machine is said to be lost with it", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const link = await connectNats({ servers: cluster.urls });
  t.teardown(() => link.close());
  await setupNamespace(link, { shards: 1, replicas: 3 });
  const findings = await examine({ servers: cluster.urls });
  const durability = findings.find(({ check }) => check === "durability");
  t.is(durability?.verdict, "note");
  t.regex(
    durability?.message ?? "",
    /3 servers hold each message.*are at 127\.0\.0\.1: what takes/,
  );
  t.like(durability?.details, { replicas: 3, hosts: ["127.0.0.1"] });
});
