/** Servers that cannot store any more. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accountInfo } from "../../../shared/jetstream/admin.ts";
import type { FaultKind } from "./fault.ts";

const accountLimit: FaultKind = {
  family: "limit",
  kind: "account-limit",
  lastsMs: [1_000, 6_000],
  async inject(world, random) {
    const { storageBytes } = await accountInfo(world.link.requests, { withinMs: 3_000 });
    const room = random.whole(0, 20_000);
    for (const server of world.topology.servers) server.limitStorage(storageBytes + room);
    return {
      target: "all servers",
      detail: { storageBytes, room },
      async heal() {
        for (const server of world.topology.servers) server.limitStorage();
      },
    };
  },
};

/** Fills the small disk on which a server stores. The server gives up; then it is started again. */
const fullDisk: FaultKind = {
  family: "disk",
  kind: "full-disk",
  lastsMs: [1_000, 4_000],
  async inject(world, random) {
    const server = random.pick(world.topology.servers);
    const disk = world.topology.disks.get(server.name);
    if (disk === undefined || !server.isRunning) return undefined;
    const filler = join(disk, "filler");
    let bytes = 0;
    try {
      for (;;) {
        writeFileSync(filler, Buffer.alloc(65_536), { flag: "a" });
        bytes += 65_536;
      }
    } catch {
      // full
    }
    return {
      target: server.name,
      detail: { bytes },
      async heal() {
        rmSync(filler, { force: true });
        await server.end("SIGTERM");
        await server.start();
      },
    };
  },
};

/** The faults of these families. */
export const limits: readonly FaultKind[] = [accountLimit, fullDisk];
