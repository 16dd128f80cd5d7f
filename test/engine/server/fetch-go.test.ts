/** Building with Go, tried with a stand-in for the `go` command. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { goInstall } from "../../../engine/server/fetch-go.ts";
import { findServer } from "../../../engine/server/find.ts";
import { temporaryFolder, writeScript } from "../../helpers/folders.ts";

/** Searches where nothing but this `go` command is, and returns what was said. */
async function search(t: ExecutionContext, ...go: readonly string[]) {
  const folder = temporaryFolder(t);
  if (go.length > 0) writeScript(join(folder, "bin", "go"), "PATH=/usr/bin:/bin", ...go);
  const lines: string[] = [];
  const env = {
    PATH: join(folder, "bin"),
    CONTRAIL_CACHE_DIR: join(folder, "cache"),
    GOOS: "plan9",
  };
  const found = await findServer({
    env,
    ways: [goInstall],
    report: (line) => lines.push(line),
  }).catch((error: Error) => error);
  return { found, folder, lines };
}

test("the pinned module is built for this machine and kept in the cache", async (t) => {
  const { found, folder, lines } = await search(
    t,
    '[ "$1" = version ] && exit 0',
    `echo "$@ os=$GOOS" >> "$GOBIN/../../../asked"`,
    `printf '#!/bin/sh\\necho "nats-server: v2.15.1"\\n' > "$GOBIN/nats-server"`,
    'chmod +x "$GOBIN/nats-server"',
  );
  t.like(found, { version: "2.15.1" });
  const asked = readFileSync(join(folder, "asked"), "utf8");
  t.is(asked, "install -trimpath github.com/nats-io/nats-server/v2@v2.15.1 os=\n");
  t.true(lines.some((line) => line.includes("can take up to 5 minutes")));
});

test("a machine without Go is a reason", async (t) => {
  const { lines } = await search(t);
  t.regex(lines.at(-1) ?? "", /go install .*: go is not installed$/);
});

test("a build that fails is a reason, with what Go said last", async (t) => {
  const { lines } = await search(
    t,
    '[ "$1" = version ] && exit 0',
    "echo no such host >&2; exit 1",
  );
  t.regex(lines.at(-1) ?? "", /go install .*: no such host$/);
});
