import test from "ava";
import { contrail } from "../helpers/contrail.ts";
import { temporaryFolder } from "../helpers/folders.ts";
import { Deployment, fulfilled, fulfilOrder } from "./deployment.ts";
import { stored } from "./stored.ts";

test("two tenants with the same namespace and ids meet nowhere, whatever one of them tries", async (t) => {
  const deployment = await Deployment.start("tenants.conf");
  t.teardown(() => deployment.server.stop());
  await deployment.run(t, "acme");
  await deployment.run(t, "globex");
  const acme = await deployment.client(t, "client", "acme");
  const globex = await deployment.client(t, "client", "globex");
  const theirs = await globex.start(fulfilOrder, { id: "1" }, { id: "order-1" });
  const ours = await acme.start(fulfilOrder, { id: "1" }, { id: "order-1" });
  await acme.publish("order.approved", { id: "1", by: "Acme" });
  t.deepEqual(await ours.result(), fulfilled("1", "Acme"));
  t.is((await theirs.view()).state.outcome, undefined, "the event was not theirs");

  // The worst that a client can do, see limits.test.ts, it does to its own account.
  const admin = await deployment.link(t, "admin", "globex");
  const before = await stored(admin);
  const intruder = await deployment.intruder(t, "client", "acme");
  const victim = "contrail.log.0.fulfil-order.order-1";
  for (const shard of [0, 1])
    await intruder.mayPublish({
      subject: `contrail.log.${shard}.*.*.token.start`,
      headers: { "Nats-Rollup": "all" },
    });
  for (const reply of [
    `${victim}.h`,
    "events.order.approved",
    "$JS.API.STREAM.PURGE.contrail_LOG_0",
  ])
    await intruder.mayPublish({ subject: "$JS.API.STREAM.INFO.contrail_LOG_0", reply });
  await intruder.ask({ subject: "$JS.API.STREAM.INFO.contrail_LOG_0" });
  t.deepEqual(await stored(admin), before);
  t.is(
    (await stored(await deployment.link(t, "admin", "acme"), ["contrail_LOG_0"])).length < 3,
    true,
  );
  await globex.publish("order.approved", { id: "1", by: "Globex" });
  t.deepEqual(await theirs.result(), fulfilled("1", "Globex"));

  // The system account sees the servers, so that doctor can tell how they write to the disk.
  const { user = "", pass = "", inboxPrefix = "" } = deployment.as("admin", "globex");
  const system = deployment.as("system");
  const doctor = await contrail(
    [
      "doctor",
      "--json",
      "--system-user",
      system.user ?? "",
      "--system-password",
      system.pass ?? "",
    ],
    {
      cwd: temporaryFolder(t),
      server: deployment.server.url,
      env: { NATS_USER: user, NATS_PASSWORD: pass, NATS_INBOX_PREFIX: inboxPrefix },
    },
  );
  t.is(doctor.code, 0, doctor.stdout + doctor.stderr);
  t.regex(doctor.stdout, /sync_interval/);
  t.notRegex(doctor.stdout, /cannot be seen from here/);
});
