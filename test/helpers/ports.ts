/** Ports for servers of tests: a process never gives one twice, and no two processes give the same. */
import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Below the ports that systems give to outgoing connections, one of which could take a server's. */
const FIRST_PORT = 15_000;
const LAST_PORT = 31_999;
/** A process takes ports in blocks of so many; who listens on a block's first one owns the block. */
const BLOCK_SIZE = 50;
const BLOCKS = Math.floor((LAST_PORT - FIRST_PORT + 1) / BLOCK_SIZE);

/** What is left of this process's blocks. */
const unused: number[] = [];
/** One taking at a time, so that no port is looked at twice. */
let turn: Promise<unknown> = Promise.resolve();

/**
 * Ports that nobody listens on, and that are this process's own as long as it lives: a server that
 * is down for a while finds its port free when it starts again.
 */
export function freePorts(count: number): Promise<number[]> {
  const taken = turn.then(async () => {
    const ports: number[] = [];
    while (ports.length < count) {
      if (unused.length === 0) unused.push(...(await takeBlock()));
      const port = unused.shift() as number;
      if (await isFree(port)) ports.push(port);
    }
    return ports;
  });
  turn = taken.catch(() => undefined);
  return taken;
}

/** The ports of a block that no other process owns. The system frees it when this process ends. */
async function takeBlock(): Promise<number[]> {
  const offset = randomInt(BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const first = FIRST_PORT + ((offset + i) % BLOCKS) * BLOCK_SIZE;
    const owner = await listen(first);
    if (owner === undefined) continue;
    owner.unref();
    return Array.from({ length: BLOCK_SIZE - 1 }, (_, k) => first + 1 + k);
  }
  throw new Error(`No block of ports is free between ${FIRST_PORT} and ${LAST_PORT}.`);
}

async function isFree(port: number): Promise<boolean> {
  const listener = await listen(port);
  if (listener === undefined) return false;
  await new Promise((resolve) => listener.close(resolve));
  return true;
}

function listen(port: number): Promise<Server | undefined> {
  const listener = createServer();
  return new Promise((resolve) => {
    listener.once("error", () => resolve(undefined));
    listener.listen(port, "127.0.0.1", () => resolve(listener));
  });
}
