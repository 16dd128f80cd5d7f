/** Three servers on one machine as a cluster. */
import test from "ava";
import { startCluster } from "../../../engine/server/cluster.ts";
import { findServer } from "../../../engine/server/find.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { connectNats } from "../../../shared/jetstream/connection.ts";
import { temporaryFolder } from "../../helpers/folders.ts";

const { binary } = await findServer();

test("a started cluster keeps a replicated stream while one of its servers is killed", async (t) => {
  const cluster = await startCluster({ binary, storeDir: temporaryFolder(t) });
  t.teardown(() => cluster.stop());
  t.is(new Set(cluster.urls).size, 3);
  const names = cluster.servers().map(({ name }) => name);
  t.deepEqual(names, ["contrail-1", "contrail-2", "contrail-3"]);

  const link = await connectNats({ servers: cluster.urls });
  t.teardown(() => link.close());
  const stream = { name: "KEPT", subjects: ["kept"], num_replicas: 3 };
  t.like(await callApi(link.requests, "STREAM.CREATE.KEPT", stream), { config: stream });

  await cluster.servers()[1]?.kill();
  const again = await cluster.restart(1);
  t.is(again.url, cluster.urls[1] ?? "");
  t.is(cluster.servers()[1], again);
  await cluster.ready();
  t.like(await callApi(link.requests, "STREAM.INFO.KEPT", undefined), { config: stream });
});

test("a cluster of which no server can be started is an error, and leaves none behind", async (t) => {
  const options = { binary: "/nowhere/nats-server", storeDir: temporaryFolder(t) };
  await t.throwsAsync(startCluster(options), { code: "server-start-failed" });
});
