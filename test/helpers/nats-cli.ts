/**
 * The official `nats` command line, a client that knows nothing of Contrail: CONTRAIL_NATS_CLI, or
 * `nats` on the PATH, or one in the cache, or one that is built there now where Go is installed.
 */
import { join } from "node:path";
import { cacheFolder } from "../../engine/server/cache.ts";
import { runCommand } from "../../engine/server/run-command.ts";

/** What the tests were written with. */
const VERSION = "0.5.1";
const MODULE = `github.com/nats-io/natscli/nats@v${VERSION}`;
/** How long the build may take, downloads included. Less than ava waits for a sign of life. */
const BUILD_MS = 480_000;

/** The program, or why there is none. */
export type NatsCli = { readonly binary: string } | { readonly missing: string };

/** Looks for the program, or builds it, which takes minutes, once for each machine. */
export async function findNatsCli(): Promise<NatsCli> {
  const folder = join(cacheFolder(process.env), "nats-cli", VERSION);
  const given = process.env["CONTRAIL_NATS_CLI"];
  for (const binary of given ? [given] : ["nats", join(folder, "nats")])
    if (await isThere(binary, "--version")) return { binary };
  if (given) throw new Error(`CONTRAIL_NATS_CLI is ${given}, which is no program.`);
  if (!(await isThere("go", "version"))) return { missing: "it is not installed, nor is Go" };
  const own = { GOBIN: folder, GOWORK: "off", CGO_ENABLED: "0", GOOS: "", GOARCH: "" };
  const { failure } = await runCommand("go", ["install", "-trimpath", MODULE], {
    env: { ...process.env, ...own },
    timeoutMs: BUILD_MS,
  });
  if (failure === undefined) return { binary: join(folder, "nats") };
  return { missing: `it is not installed, and "go install ${MODULE}" failed: ${failure}` };
}

async function isThere(file: string, question: string): Promise<boolean> {
  const { failure } = await runCommand(file, [question], { timeoutMs: 10_000 });
  return failure === undefined;
}
