/**
 * What `npm test` runs after the build: makes sure there is a nats-server, once and aloud, and hands
 * it to ava and so to every test. Arguments go to ava, such as a test file or `--match`.
 * With CI set, ava prints TAP, and the last line counts: "12 passed, 0 failed".
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findServer, ServerNotFoundError } from "../engine/server/index.ts";
import { TestCounts } from "./test-counts.ts";

const isCounted = Boolean(process.env.CI);
process.exitCode = await run();

async function run(): Promise<number> {
  const counts = new TestCounts();
  const server = await findServer({ report: say }).catch((error: unknown) => {
    if (!(error instanceof ServerNotFoundError)) throw error;
    say(error.message);
    return undefined;
  });
  const exitCode = server ? await runAva(server.binary, counts) : 1;
  if (isCounted) say(counts.summary());
  return exitCode;
}

/** Runs ava to its end and returns its exit code. */
async function runAva(binary: string, counts: TestCounts): Promise<number> {
  const ava = join("node_modules", "ava", "entrypoints", "cli.mjs");
  const args = [ava, ...(isCounted ? ["--tap"] : []), ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", isCounted ? "pipe" : "inherit", "inherit"],
    env: { ...process.env, CONTRAIL_NATS_SERVER: binary },
  });
  const ended = once(child, "close");
  if (child.stdout) {
    for await (const line of createInterface({ input: child.stdout })) {
      say(line);
      counts.read(line);
    }
  }
  const [code] = (await ended) as [number | null];
  // A signal is a failure too, and so is a run that found no test.
  return code ?? 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
