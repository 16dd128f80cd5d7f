/** `contrail doctor` and `contrail setup`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { setupNamespace } from "../../../engine/setup.ts";
import { connectNats } from "../../../shared/jetstream/connection.ts";
import { contrail, jsonLines } from "../../helpers/contrail.ts";
import { FakeRun } from "../../helpers/fake-run.ts";
import { temporaryFolder } from "../../helpers/folders.ts";
import { startTestServer } from "../../helpers/nats.ts";

test("setup creates a namespace as asked, and doctor examines it", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const at = { cwd: process.cwd(), server: server.url };
  const setup = ["setup", "--namespace", "shop", "--shards", "2", "--claim-timeout", "3s"];
  const made = await contrail([...setup, "--events-keep", "7 days", "--json"], at);
  t.deepEqual([made.code, made.stderr], [0, ""]);
  t.deepEqual(jsonLines(made.stdout), [
    {
      namespace: "shop",
      shards: 2,
      replicas: 1,
      claimTimeoutMs: 3_000,
      eventsKeepMs: 7 * 86_400_000,
      keepEndedMs: 7 * 86_400_000,
    },
  ]);
  const again = await contrail(["setup", "--namespace", "shop"], at);
  t.is(
    again.stdout,
    'Namespace "shop" is set up: 2 shards, each message on one server, claim timeout 3 s, events are kept for 7 d, ended runs for 7 d.\n',
  );
  const other = await contrail(["setup", "--namespace", "shop", "--shards", "3"], at);
  t.is(other.code, 1);
  t.regex(other.stderr, /^error incompatible-setup: .*shards = 2, not 3/);

  const doctor = await contrail(["doctor", "--namespace", "shop", "--json"], at);
  t.is(doctor.code, 1, "no engine leads");
  const findings = jsonLines(doctor.stdout);
  for (const finding of findings)
    t.deepEqual(Object.keys(finding), ["check", "verdict", "message", "details"]);
  t.deepEqual(
    findings.filter(({ verdict }) => verdict === "problem").map(({ check }) => check),
    ["engine"],
  );
  const text = await contrail(["doctor", "--namespace", "shop"], at);
  t.regex(text.stdout, /^ok {7}nats-server \d+\.\d+\.\d+ at /);
  t.regex(text.stdout, /^PROBLEM {2}No engine leads/m);
  t.is(text.stderr, "One problem was found.\n");
  const { stderr } = await contrail(["doctor", "--namespace", "shop", "--quiet"], at);
  t.is(stderr, "");
});

test("doctor --runs counts live runs by what will wake them, and names those that nobody will wake", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const at = { cwd: process.cwd(), server: server.url };
  const link = await connectNats({ servers: server.url });
  t.teardown(() => link.close());
  const { names } = await setupNamespace(link, {});
  await new FakeRun(link, names, { runId: "queued" }).start();
  const ended = await new FakeRun(link, names, { runId: "ended" }).start();
  await ended.end();
  const heard = await new FakeRun(link, names, { runId: "heard" }).start();
  await heard.waitFor([{ kind: "event", name: "x", after: 0 }]);
  const paused = await new FakeRun(link, names, { runId: "paused" }).start();
  await paused.commit([{ kind: "paused", reason: "why", details: null }], "paused");
  const runsOf = (stdout: string) => jsonLines(stdout).filter(({ check }) => check === "run");
  const fine = await contrail(["doctor", "--runs", "--json"], at);
  t.like(runsOf(fine.stdout), [
    {
      verdict: "ok",
      details: {
        ...{ looked: 3, queued: 1, running: 0, waiting: 1, paused: 1, lost: 0 },
        sources: { "queued by token": 1, "waiting by wait": 1, "paused by person": 1 },
      },
    },
  ]);
  const lost = await new FakeRun(link, names, { runId: "lost" }).start();
  await lost.suspend("timer");
  const found = await contrail(["doctor", "--runs", "--json"], at);
  t.is(found.code, 1);
  t.like(runsOf(found.stdout), [
    { verdict: "problem", details: { task: "fake", id: "lost", reason: "no-timer" } },
    { verdict: "problem", details: { looked: 4, lost: 1 } },
  ]);
  const text = await contrail(["doctor", "--runs"], at);
  t.regex(
    text.stdout,
    /^PROBLEM {2}Nobody will wake run "lost" of task "fake": it waits for a time/m,
  );
  t.regex(
    text.stdout,
    /^PROBLEM {2}4 live runs were looked at in [\d.]+ m?s: 1 queued, 0 running, 1 waiting, 1 paused\. 1 will not be woken\.$/m,
  );
});

test("credentials come from options or the environment, also those of the system account", async (t) => {
  const cwd = temporaryFolder(t);
  const file = join(cwd, "nats.conf");
  writeFileSync(
    file,
    `jetstream { sync_interval: always }
accounts {
  SYS: { users: [{ user: "root", password: "secret" }] }
  APP: { jetstream: enabled, users: [{ user: "app", password: "word" }] }
}
system_account: SYS
`,
  );
  const server = await startTestServer(file);
  t.teardown(() => server.stop());
  const at = { cwd, server: server.url };
  const options = ["--user", "app", "--password", "word"];
  t.is((await contrail(["setup", "--shards", "1", ...options], at)).code, 0);
  const env = { NATS_USER: "app", NATS_PASSWORD: "word" };
  t.is((await contrail(["runs"], { ...at, env })).code, 0);
  const wrong = await contrail(["runs", ...options.slice(0, 3), "guess"], at);
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /^error unavailable: .*[Aa]uthorization.*Check the user, password/);
  t.false(wrong.stderr.includes("guess"));
  const system = ["--system-user", "root", "--system-password", "secret"];
  const doctor = await contrail(["doctor", "--json", ...system], { ...at, env });
  t.like(
    jsonLines(doctor.stdout).find(({ check }) => check === "sync"),
    { verdict: "ok" },
  );
});
