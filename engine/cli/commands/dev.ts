/** `contrail dev`: everything that a task needs, in one command. */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Command } from "commander";
import { InvalidInputError } from "../../../shared/index.ts";
import { type Engine, startEngine } from "../../index.ts";
import {
  findServer,
  type RunningServer,
  ServerStartError,
  startServer,
} from "../../server/index.ts";
import { wholeNumber } from "../arguments.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { DEV_FOLDER, readDevState, removeDevState, writeDevState } from "../dev-state.ts";
import { DevWorker } from "../dev-worker.ts";
import { EXIT } from "../output.ts";
import { type StopSignal, stopSignal } from "../stop-signal.ts";
import { checkFile } from "../task-files.ts";
import { addSlotOptions, type SlotOptions } from "./worker.ts";

/** The port that NATS clients try when they are not told any. */
const USUAL_PORT = 4222;
const HIGHEST_PORT = 65_535;
/** While one writes code, restarts should be quick: running code has this long to end. */
const DRAIN = "2s";

interface Options extends SlotOptions {
  readonly port?: number;
}

/** Adds `contrail dev`. */
export function addDev(program: Command): void {
  addSlotOptions(
    program
      .command("dev")
      .summary("run tasks here, with all they need")
      .description(
        `Runs the tasks that the files export, with all they need: a nats-server of its own, found or fetched, which keeps its data in ${DEV_FOLDER} below this folder (with --server or NATS_URL: that server); an engine; and a worker that starts again when a file changes which the tasks import. In this folder the other commands find the server by themselves.`,
      )
      .argument("<files...>", "files that export tasks, in JavaScript or TypeScript"),
  )
    .option(
      "--port <port>",
      `port of the server (default: ${USUAL_PORT}, or a free one when that is taken)`,
      wholeNumber(1, HIGHEST_PORT),
    )
    .addHelpText(
      "after",
      example(
        "dev tasks.ts",
        'Then, in another terminal: contrail start hello --input \'{"name":"Ada"}\'',
      ),
    )
    .action((files: string[], options: Options, command: Command) =>
      carryOut(command, (cli) => dev(cli, files, options)),
    );
}

/** What runs, in the order in which it was started. It is ended in the other order. */
interface Running {
  server?: RunningServer;
  engine?: Engine;
  worker?: DevWorker;
}

async function dev(cli: Cli, files: readonly string[], options: Options): Promise<number> {
  const { output } = cli;
  for (const file of files) checkFile(file);
  const folder = process.cwd();
  if (cli.options.server === undefined) refuseSecond(folder);
  const running: Running = {};
  const stop = stopSignal(() => output.note("Stopping. Ctrl-C again ends at once."));
  // However this process ends: what it has started must not stay.
  process.once("exit", () => running.worker?.kill());
  try {
    return await serve(cli, { files, options, folder, running, stop });
  } finally {
    await running.worker?.close();
    await running.engine?.close();
    if (running.server) removeDevState(folder);
    await running.server?.stop();
    stop.dispose();
  }
}

interface Session {
  readonly files: readonly string[];
  readonly options: Options;
  readonly folder: string;
  readonly running: Running;
  readonly stop: StopSignal;
}

async function serve(cli: Cli, session: Session): Promise<number> {
  const { files, options, folder, running, stop } = session;
  const { output, namespace } = cli;
  if (cli.options.server === undefined) {
    running.server = await ownServer(cli, folder, options.port);
    writeDevState(folder, { server: running.server.url, pid: process.pid });
  }
  if (stop.signal.aborted) return EXIT.done;
  const server = running.server?.url ?? (cli.options.server as string);
  running.engine = await startEngine({
    servers: server,
    ...cli.credentials,
    namespace,
    log: output,
  });
  if (stop.signal.aborted) return EXIT.done;
  const shown = server.replace(/\/\/[^@/]*@/g, "//"); // without a password
  output.data(`Server ${shown}, namespace "${namespace}". Ctrl-C ends.`, {
    event: "dev-ready",
    server: shown,
    namespace,
  });
  running.worker = new DevWorker({
    args: ["worker", ...workerArguments(cli, files, options)],
    env: { ...process.env, ...workerEnvironment(cli), NATS_URL: server },
    files,
    clock: cli.clock,
    note: (text) => output.note(text),
  });
  const exit = await Promise.race([stop.requested, running.server?.exited ?? stop.requested]);
  if (exit === undefined || stop.signal.aborted) return EXIT.done;
  throw new ServerStartError(
    `nats-server has ended (${exit.signal ?? `exit code ${exit.code}`}). ${running.server?.logFile} says why.`,
  );
}

/** Everybody on the machine sees the arguments of a process, and no secret is to be among them. */
function workerEnvironment({ options }: Cli): NodeJS.ProcessEnv {
  const values = {
    CONTRAIL_NAMESPACE: options.namespace,
    NATS_CREDS: options.creds,
    NATS_USER: options.user,
    NATS_PASSWORD: options.password,
    NATS_TOKEN: options.token,
    NATS_NKEY: options.nkey,
    NATS_CA: options.tlsCa,
    NATS_CERT: options.tlsCert,
    NATS_KEY: options.tlsKey,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function workerArguments(cli: Cli, files: readonly string[], options: Options): string[] {
  const { json, quiet, debug } = cli.options;
  const flags = { json, quiet, debug };
  const values = { regular: options.regular, durable: options.durable };
  return [
    ...["--child", "--drain", DRAIN],
    ...Object.entries(flags).flatMap(([name, isSet]) => (isSet ? [`--${name}`] : [])),
    ...Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`],
    ),
    "--",
    ...files,
  ];
}

function refuseSecond(folder: string): void {
  const other = readDevState(folder);
  if (other)
    throw new InvalidInputError(
      `"contrail dev" runs in this folder already, as process ${other.pid} with ${other.server}. End that one, or name its server with --server to add a worker. If no such process runs, remove ${join(DEV_FOLDER, "dev.json")}.`,
    );
}

async function ownServer(cli: Cli, folder: string, port?: number): Promise<RunningServer> {
  const { output } = cli;
  const home = join(folder, DEV_FOLDER);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, ".gitignore"), "*\n"); // nothing in here is for a repository
  const { binary, version } = await findServer({ report: (line) => output.note(line) });
  const storeDir = join(home, "nats");
  const server = await startServer({ binary, storeDir, port: port ?? (await usualPort()) });
  output.note(`nats-server ${version} keeps its data in ${join(DEV_FOLDER, "nats")}.`);
  return server;
}

/** The usual port if nobody has it, else 0, which takes a free one. */
function usualPort(): Promise<number> {
  return new Promise((resolve) => {
    const listener = createServer();
    listener.once("error", () => resolve(0));
    listener.listen(USUAL_PORT, "127.0.0.1", () => listener.close(() => resolve(USUAL_PORT)));
  });
}
