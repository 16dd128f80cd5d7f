/** A server's life as our child: starting, answering, ending, and what is said when it does not. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ServerStartError } from "../../../engine/server/errors.ts";
import { findServer } from "../../../engine/server/find.ts";
import { probeServer } from "../../../engine/server/probe.ts";
import { runCommand } from "../../../engine/server/run-command.ts";
import {
  type RunningServer,
  type ServerOptions,
  startServer,
} from "../../../engine/server/start.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { connectNats } from "../../../shared/jetstream/connection.ts";
import { temporaryFolder, writeScript } from "../../helpers/folders.ts";
import { groupOf } from "../../helpers/process-state.ts";
import { until } from "../../helpers/until.ts";

const { binary } = await findServer();

async function start(
  t: ExecutionContext,
  options: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const storeDir = join(temporaryFolder(t), "store");
  const server = await startServer({ binary, storeDir, ...options });
  t.teardown(() => server.stop());
  return server;
}

/** Asks JetStream's API as a client does. */
async function ask(server: RunningServer, subject: string, body?: object) {
  const link = await connectNats({ servers: server.url });
  try {
    return await callApi(link.requests, subject, body);
  } finally {
    await link.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("the package's nats.conf is valid", async (t) => {
  const store = temporaryFolder(t);
  const args = ["-c", "nats.conf", "-sd", store, "-n", "by-hand", "-t"];
  const checked = await runCommand(binary, args, { timeoutMs: 10_000 });
  t.is(checked.failure, undefined, checked.stderr);
});

test("a started server answers for JetStream on a free loopback port", async (t) => {
  const server = await start(t);
  t.regex(server.url, /^nats:\/\/127\.0\.0\.1:\d+$/);
  t.is(await probeServer({ ...server, timeoutMs: 1000 }), "ready");
  t.like(await ask(server, "INFO"), { streams: 0 });
  t.true(isAlive(server.pid));
  t.true(readFileSync(server.logFile, "utf8").includes("Listening for client connections"));
});

test("two servers at once have different ports and stores", async (t) => {
  const [one, other] = await Promise.all([start(t), start(t)]);
  t.not(one.port, other.port);
  await ask(one, "STREAM.CREATE.ONE", { name: "ONE", subjects: ["one"] });
  t.like(await ask(other, "INFO"), { streams: 0 });
});

test("a stopped server has ended, and stopping it again is harmless", async (t) => {
  const server = await start(t);
  await server.stop();
  t.false(isAlive(server.pid));
  t.is(await probeServer({ ...server, timeoutMs: 1000 }), "down");
  await server.stop();
  await server.kill();
  t.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a killed server is seen to end, and keeps its port and streams when it is restarted", async (t) => {
  const server = await start(t);
  await ask(server, "STREAM.CREATE.KEPT", { name: "KEPT", subjects: ["kept"] });
  await server.kill();
  t.deepEqual(await server.exited, { code: null, signal: "SIGKILL" });
  const again = await server.restart();
  t.teardown(() => again.stop());
  t.is(again.port, server.port);
  t.not(again.pid, server.pid);
  t.like(await ask(again, "STREAM.NAMES"), { streams: ["KEPT"] });
});

test("a paused server can be stopped", async (t) => {
  const server = await start(t);
  process.kill(server.pid, "SIGSTOP");
  await server.stop();
  t.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a server ends when the process that started it is killed", async (t) => {
  const storeDir = join(temporaryFolder(t), "store");
  const entry = new URL("../../../engine/server/index.js", import.meta.url).href;
  const script = `
    const { startServer } = await import(${JSON.stringify(entry)});
    const server = await startServer(${JSON.stringify({ binary, storeDir })});
    console.log(server.pid);
  `;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  parent.stdout.on("data", (text) => {
    printed += text;
  });
  await until(() => printed.endsWith("\n"), { what: "the server's process id" });
  const pid = Number(printed);
  t.true(isAlive(pid));
  parent.kill("SIGKILL");
  await until(() => !isAlive(pid), { what: "the end of the server" });
  t.pass();
});

test("Ctrl-C in the terminal does not reach the server", async (t) => {
  const server = await start(t);
  t.is(groupOf(server.pid), server.pid);
});

test("a port that is taken is an error that ends with the server's log", async (t) => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  t.teardown(() => holder.close());
  const { port } = holder.address() as { port: number };
  const error = await t.throwsAsync(start(t, { port }), {
    instanceOf: ServerStartError,
    code: "server-start-failed",
  });
  t.regex(error?.message ?? "", /ended with exit code 1/);
  t.regex(error?.message ?? "", /address already in use/);
});

test("a port where another server answers is not taken for ours", async (t) => {
  const server = await start(t);
  await t.throwsAsync(start(t, { port: server.port }), { code: "server-start-failed" });
  t.is(await probeServer({ ...server, timeoutMs: 1000 }), "ready");
});

test("a configuration with a mistake is an error that shows where", async (t) => {
  const configFile = join(temporaryFolder(t), "wrong.conf");
  writeFileSync(configFile, "jetstream {\n  no_such_field: 1\n}\n");
  const error = await t.throwsAsync(start(t, { configFile }));
  t.regex(error?.message ?? "", /wrong\.conf:2:3: unknown field "no_such_field"/);
});

test("an executable that does not exist is an error that says so", async (t) => {
  const error = await t.throwsAsync(start(t, { binary: "/nowhere/nats-server" }), {
    instanceOf: ServerStartError,
  });
  t.regex(error?.message ?? "", /cannot be started: .*ENOENT/);
});

test("a program that never answers is killed and named", async (t) => {
  const pidFile = join(temporaryFolder(t), "pid");
  const silent = writeScript(`${pidFile}-script`, `echo $$ > "${pidFile}"`, "exec sleep 600");
  const error = await t.throwsAsync(start(t, { binary: silent, startWithinMs: 200 }));
  t.regex(error?.message ?? "", /did not answer within 0\.2 s \(it is down\)/);
  t.false(existsSync(pidFile) && isAlive(Number(readFileSync(pidFile, "utf8"))));
});

test("a server that syncs always says so, and by default it does not", async (t) => {
  const folder = temporaryFolder(t);
  const configFile = join(folder, "monitored.conf");
  writeFileSync(configFile, `${readFileSync("nats.conf", "utf8")}http: "127.0.0.1:-1"\n`);
  for (const syncAlways of [false, true]) {
    const server = await start(t, { configFile, syncAlways });
    const log = readFileSync(server.logFile, "utf8");
    const address = /Starting http monitor on (\S+)/.exec(log)?.[1];
    const response = await fetch(`http://${address}/jsz?config=true`);
    const { config } = (await response.json()) as { config: Record<string, unknown> };
    t.is(config.sync_always ?? false, syncAlways);
    t.is(config.sync_interval, 120e9);
  }
});

test("syncAlways is refused for a configuration that it cannot change", async (t) => {
  const configFile = join(temporaryFolder(t), "other.conf");
  writeFileSync(configFile, "jetstream: enabled\n");
  const error = await t.throwsAsync(start(t, { configFile, syncAlways: true }));
  t.regex(error?.message ?? "", /has no sync_interval that syncAlways could replace/);
});
