import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import test from "ava";
import { connect } from "../../shared/index.ts";
import { contrail } from "../helpers/contrail.ts";
import { temporaryFolder } from "../helpers/folders.ts";
import { Deployment, FOLDER, fulfilled, fulfilOrder } from "./deployment.ts";

const hasOpenssl = spawnSync("sh", ["-c", "command -v openssl"]).status === 0;

/** Certificates of an authority of this test, and one of another authority that nobody trusts. */
function certificates(folder: string): string {
  const made = spawnSync("sh", [resolve(FOLDER, "certificates.sh"), folder], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
  return folder;
}

test("over TLS each role does its work, and nobody does without a certificate of the authority", async (t) => {
  if (!hasOpenssl) {
    t.log("There is no openssl to make certificates with.");
    t.pass();
    return;
  }
  const folder = certificates(temporaryFolder(t));
  const foreign = certificates(temporaryFolder(t));
  const file = (name: string, of = folder): string => join(of, `${name}.pem`);
  process.env["CONTRAIL_TLS_CERT"] = JSON.stringify(file("server"));
  process.env["CONTRAIL_TLS_KEY"] = JSON.stringify(file("server-key"));
  process.env["CONTRAIL_TLS_CA"] = JSON.stringify(file("ca"));
  const tls = { caFile: file("ca"), certFile: file("client"), keyFile: file("client-key") };
  const deployment = await Deployment.start("tls.conf", { tls });
  t.teardown(() => deployment.server.stop());
  await deployment.run(t);
  const client = await deployment.client(t);
  const run = await client.start(fulfilOrder, { id: "1" }, { id: "order-1" });
  await client.publish("order.approved", { id: "1", by: "Ada" });
  t.deepEqual(await run.result(), fulfilled("1", "Ada"));

  const options = deployment.as("client");
  const { tls: _, ...plain } = options;
  await t.throwsAsync(connect(plain), { code: "unavailable" } as never);
  await t.throwsAsync(connect({ ...plain, tls: { caFile: file("ca") } }), {
    code: "unavailable",
  } as never);
  const stranger = { certFile: file("client", foreign), keyFile: file("client-key", foreign) };
  await t.throwsAsync(connect({ ...plain, tls: { caFile: file("ca"), ...stranger } }), {
    code: "unavailable",
  } as never);
  const other = { ...tls, caFile: file("ca", foreign) };
  await t.throwsAsync(connect({ ...plain, tls: other }), { code: "unavailable" } as never);

  // The command line, by its environment.
  const { user = "", pass = "", inboxPrefix = "" } = deployment.as("admin");
  const shown = await contrail(["why", "order-1", "--json"], {
    cwd: folder,
    server: deployment.server.url,
    env: {
      ...{ NATS_USER: user, NATS_PASSWORD: pass, NATS_INBOX_PREFIX: inboxPrefix },
      ...{ NATS_CA: tls.caFile, NATS_CERT: tls.certFile, NATS_KEY: tls.keyFile },
    },
  });
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /completed/);
});
