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
/** How long the build may take, downloads included. Once for each machine. */
export const CLI_BUILD_MS = 600_000;

/** The program, or how to come by it. */
export type NatsCli =
  | { readonly kind: "found"; readonly binary: string }
  /** Calling this takes minutes. */
  | { readonly kind: "can-be-built"; build(): Promise<string> }
  | { readonly kind: "missing" };

/** Looks for the program. */
export async function findNatsCli(): Promise<NatsCli> {
  const folder = join(cacheFolder(process.env), "nats-cli", VERSION);
  const given = process.env["CONTRAIL_NATS_CLI"];
  for (const binary of given ? [given] : ["nats", join(folder, "nats")])
    if (await isThere(binary, "--version")) return { kind: "found", binary };
  if (given) throw new Error(`CONTRAIL_NATS_CLI is ${given}, which is no program.`);
  if (!(await isThere("go", "version"))) return { kind: "missing" };
  return { kind: "can-be-built", build: () => build(folder) };
}

async function build(folder: string): Promise<string> {
  const own = { GOBIN: folder, GOWORK: "off", CGO_ENABLED: "0", GOOS: "", GOARCH: "" };
  const { failure } = await runCommand("go", ["install", "-trimpath", MODULE], {
    env: { ...process.env, ...own },
    timeoutMs: CLI_BUILD_MS,
  });
  if (failure !== undefined) throw new Error(`go install ${MODULE}: ${failure}`);
  return join(folder, "nats");
}

async function isThere(file: string, question: string): Promise<boolean> {
  const { failure } = await runCommand(file, [question], { timeoutMs: 10_000 });
  return failure === undefined;
}
