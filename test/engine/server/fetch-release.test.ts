/** The official archive: taken when its checksum is the pinned one, and only then. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ServerFetchError } from "../../../engine/server/errors.ts";
import {
  officialRelease,
  PINNED_ARCHIVES,
  releaseFrom,
} from "../../../engine/server/fetch-release.ts";
import { runCommand } from "../../../engine/server/run-command.ts";
import {
  checkServer,
  compareVersions,
  OLDEST_SERVER_VERSION,
} from "../../../engine/server/version.ts";
import { temporaryFolder, writeScript } from "../../helpers/folders.ts";

const ARCHIVE = "nats-server-v2.15.1-linux-amd64";

/** An archive as the project publishes them, in a folder of its own. */
async function makeArchive(t: ExecutionContext): Promise<{ bytes: Buffer; sha256: string }> {
  const folder = temporaryFolder(t);
  writeScript(join(folder, ARCHIVE, "nats-server"), 'echo "nats-server: v2.15.1"');
  const packed = await runCommand("tar", ["-czf", "archive", ARCHIVE], {
    cwd: folder,
    timeoutMs: 10_000,
  });
  t.is(packed.failure, undefined);
  const bytes = readFileSync(join(folder, "archive"));
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** A release page that answers every request with these bytes, and notes what was asked for. */
async function serve(t: ExecutionContext, status: number, bytes: Buffer) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(status).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/releases`, asked };
}

function fetchFrom(t: ExecutionContext, url: string, sha256: string): Promise<string> {
  const archives = { "linux-amd64": { version: "2.15.1", sha256 } };
  const folder = join(temporaryFolder(t), "staging");
  mkdirSync(folder);
  const way = releaseFrom({ platform: "linux-amd64", archives, url });
  return way.fetch({ folder, env: process.env, report: () => {} });
}

test("an archive with the pinned checksum is unpacked into a server that runs", async (t) => {
  const { bytes, sha256 } = await makeArchive(t);
  const page = await serve(t, 200, bytes);
  const file = await fetchFrom(t, page.url, sha256);
  t.deepEqual(await checkServer(file), { kind: "usable", version: "2.15.1" });
  t.deepEqual(page.asked, [`/releases/v2.15.1/${ARCHIVE}.tar.gz`]);
});

test("an archive that differs in one byte is refused with both checksums", async (t) => {
  const { bytes, sha256 } = await makeArchive(t);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  const page = await serve(t, 200, bytes);
  const found = createHash("sha256").update(bytes).digest("hex");
  await t.throwsAsync(fetchFrom(t, page.url, sha256), {
    instanceOf: ServerFetchError,
    message: `refused: the checksum of ${ARCHIVE}.tar.gz is ${found}, expected ${sha256}`,
  });
});

test("a page that does not have the archive is a reason", async (t) => {
  const page = await serve(t, 404, Buffer.from("not here"));
  const error = await t.throwsAsync(fetchFrom(t, page.url, "0".repeat(64)));
  t.regex(error?.message ?? "", /answered 404/);
});

test("a page that cannot be reached is a reason", async (t) => {
  const error = await t.throwsAsync(fetchFrom(t, "http://127.0.0.1:1", "0".repeat(64)));
  t.regex(error?.message ?? "", /cannot download .*: .+/);
});

test("a platform without a pinned checksum is skipped without a download", async (t) => {
  const way = releaseFrom({ platform: "plan9-mips", archives: {}, url: "http://127.0.0.1:1" });
  const context = { folder: temporaryFolder(t), env: process.env, report: () => {} };
  await t.throwsAsync(way.fetch(context), {
    message: "skipped: no checksum is pinned for this platform",
  });
});

test("every pinned archive is new enough and has a whole checksum", (t) => {
  const pinned = Object.values(PINNED_ARCHIVES);
  t.is(pinned.length, 6);
  t.is(new Set(pinned.map(({ sha256 }) => sha256)).size, 6);
  for (const { version, sha256 } of pinned) {
    t.true(compareVersions(version, OLDEST_SERVER_VERSION) >= 0);
    t.regex(sha256, /^[0-9a-f]{64}$/);
  }
  t.regex(officialRelease.title, /^official release \d/);
});
