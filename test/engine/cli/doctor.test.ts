/** `contrail doctor` and `contrail setup`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { contrail, jsonLines } from "../../helpers/contrail.ts";
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
