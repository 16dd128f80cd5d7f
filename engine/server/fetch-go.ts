/** Builds nats-server from its published Go module, where a Go toolchain is installed. */
import { join } from "node:path";
import { SERVER_FILE_NAME } from "./cache.ts";
import { ServerFetchError } from "./errors.ts";
import type { FetchWay } from "./fetch-way.ts";
import { runCommand } from "./run-command.ts";
import { PINNED_SERVER_VERSION } from "./version.ts";

/** How long the build may take. Two cores need about two minutes. */
const BUILD_TIMEOUT_MS = 300_000;

const MODULE = `github.com/nats-io/nats-server/v2@v${PINNED_SERVER_VERSION}`;

/** `go install`, into the cache alone; Go checks the sources against its checksum database. */
export const goInstall: FetchWay = {
  title: `go install ${MODULE}`,
  async fetch({ folder, env, report }) {
    const look = await runCommand("go", ["version"], { timeoutMs: 10_000, env });
    if (look.failure !== undefined) throw new ServerFetchError(`go is ${look.failure}`);
    report(`building, which can take up to ${BUILD_TIMEOUT_MS / 60_000} minutes`);
    // GOBIN is refused when building for another system, and no workspace may change the versions.
    const own = { GOBIN: folder, GOWORK: "off", CGO_ENABLED: "0", GOOS: "", GOARCH: "" };
    const settings = { cwd: folder, env: { ...env, ...own }, timeoutMs: BUILD_TIMEOUT_MS };
    const built = await runCommand("go", ["install", "-trimpath", MODULE], settings);
    if (built.failure !== undefined) throw new ServerFetchError(built.failure);
    return join(folder, SERVER_FILE_NAME);
  },
};
