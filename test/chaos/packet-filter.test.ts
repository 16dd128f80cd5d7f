import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { findEntrance } from "./network.ts";
import { EMPTY_RULES, PacketFilter } from "./packet-filter.ts";

const run = promisify(execFile);
const program = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { why } = await findEntrance(EMPTY_RULES);

/** A test of what happens in a network namespace; left out, and its title says why, where there is none. */
function trial(title: string, name: string, expected: unknown): void {
  const which = why === undefined ? test : test.skip;
  which(
    `in a network namespace ${title}${why === undefined ? "" : ` (none: ${why})`}`,
    async (t) => {
      const { stdout } = await run(process.execPath, [
        program("./processes/packet-trial.js"),
        name,
      ]);
      t.deepEqual(JSON.parse(stdout), expected);
    },
  );
}

trial("nobody answers who connects to a held port, until it is released", "unanswered", {
  held: { isConnecting: true, accepted: 0 },
  healed: { isConnecting: false, accepted: 1 },
});

trial("an open connection loses what both ends send, and goes on behind the healing", "goesOn", {
  held: { near: "welcome", far: "hello" },
  healed: { near: "welcome down", far: "hello up" },
});

trial("who listens is heard while all that travels to him is lost", "oneWayUp", {
  isLost: true,
  other: "welcome other",
});

trial("who connected is heard while all that travels to him is lost", "oneWayDown", {
  isLost: true,
  other: "hello other",
});

trial("a way is held until the last of its faults is healed, or all are cleared", "overlapping", {
  one: "hello",
  two: "hello a",
  healed: "hello a b",
});

/** A folder with nothing but an `unshare` that says this and fails; without words there is none. */
function pathWith(t: ExecutionContext, words?: string): NodeJS.ProcessEnv {
  const folder = mkdtempSync(join(tmpdir(), "contrail-unshare-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "unshare");
  if (words !== undefined) {
    writeFileSync(file, `#!/bin/sh\necho "unshare: ${words}" >&2\nexit 1\n`);
    chmodSync(file, 0o755);
  }
  return { ...process.env, PATH: folder };
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("a machine without unshare has no network namespace, and that is why", async (t) => {
  t.deepEqual(await findEntrance(EMPTY_RULES, pathWith(t)), { why: "unshare is not installed" });
});

onLinux(
  "a machine that refuses a network namespace says which call, as root and as anybody",
  async (t) => {
    const env = pathWith(t, "Operation not permitted");
    t.deepEqual(await findEntrance(EMPTY_RULES, env), {
      why: "unshare --net ip: unshare: Operation not permitted; unshare --user --map-root-user --net ip: unshare: Operation not permitted",
    });
  },
);

/** Runs the command where `unshare` is refused, to its end; without faults, so it shows nothing and fails. */
async function chaosWithoutNamespace(t: ExecutionContext, ...args: string[]): Promise<string> {
  const env = pathWith(t, "Operation not permitted");
  const ended = run(process.execPath, [program("./run.js"), ...args], { env });
  const { code, stdout, stderr } = (await t.throwsAsync(ended)) as Error & Ended;
  t.is(code, 1);
  return stdout + stderr;
}

onLinux("a chaos run that may use only a network namespace ends where there is none", async (t) => {
  const told = await chaosWithoutNamespace(t, "--network", "namespace");
  t.regex(told, /^No chaos: there is no network namespace .*: unshare --net ip: .*not permitted/m);
  t.notRegex(told, /npm run chaos/);
});

onLinux(
  "a chaos run without a network namespace says why, and lets proxies hold bytes",
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "contrail-proxies-"));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const told = await chaosWithoutNamespace(
      ...([t, "--seconds", "1", "--faults", "none", "--patience", "60", "--dir", dir] as const),
    );
    t.regex(
      told,
      /Proxies make the partitions, as there is no .*: unshare --net ip: .*not permitted/,
    );
    t.regex(told, /npm run chaos -- .* --network proxies\n/);
    t.regex(told, /Partitions are made by proxies between processes/);
    t.regex(readFileSync(join(dir, "run.json"), "utf8"), /"network": "proxies"/);
  },
);

test("packets are not dropped in a network that others use", async (t) => {
  await t.throwsAsync(PacketFilter.open(), { message: /only in a network namespace of one's own/ });
});
