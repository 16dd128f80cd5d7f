/** The NATS server of the demo: the one that NATS_URL names, or one of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer, startServer } from "contrail/server";
import type { Screen } from "./screen.ts";

/** Servers to connect to. */
export interface Cluster {
  readonly servers: string;
  /** What `nats` needs to find it: nothing where it looks by itself. */
  readonly natsOptions: string;
  /** Whether it was started by this demo and ends with it. */
  readonly isOwn: boolean;
  stop(): Promise<void>;
}

/** Where clients look when they are told nothing. */
const USUAL_PORT = 4222;

/** Takes the cluster of NATS_URL, or finds or fetches a server and starts it with an empty store. */
export async function openCluster(screen: Screen): Promise<Cluster> {
  const given = process.env.NATS_URL;
  if (given) {
    const shown = given.replaceAll(/\/\/[^@/]*@/g, "//"); // without user and password
    screen.item("NATS_URL", `${shown}: no server is started`);
    const stop = async (): Promise<void> => {};
    return { servers: given, natsOptions: ` -s ${shown}`, isOwn: false, stop };
  }
  const { binary, version } = await findServer({ report: (line) => screen.say(line, "dim") });
  const folder = await mkdtemp(join(tmpdir(), "contrail-demo-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const options = { binary, storeDir: folder, name: "contrail-demo" };
    const server = (await isFree(USUAL_PORT))
      ? await startServer({ ...options, port: USUAL_PORT }).catch(() => startServer(options))
      : await startServer(options);
    screen.item("nats-server", `${version} at ${server.url}, process ${server.pid}`);
    screen.item("store", folder);
    return {
      servers: server.url,
      natsOptions: server.port === USUAL_PORT ? "" : ` -s ${server.url}`,
      isOwn: true,
      async stop() {
        await server.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Whether nobody listens there, also not for all addresses of this machine. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
