/** Fetches the official release archive of nats-server and checks it against a pinned checksum. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SERVER_FILE_NAME } from "./cache.ts";
import { ServerFetchError } from "./errors.ts";
import type { FetchWay } from "./fetch-way.ts";
import { runCommand } from "./run-command.ts";
import { PINNED_SERVER_VERSION } from "./version.ts";

/** One archive: which version it holds, and its SHA-256 in hexadecimal. */
export interface PinnedArchive {
  readonly version: string;
  readonly sha256: string;
}

/**
 * The archives we know the checksum of, by platform and architecture. Each checksum was copied from
 * public packaging recipes that verify their own download with it (for 2.15.0 on Linux and Windows
 * those are the NATS project's container images). Where that was found for an older release only,
 * the older release is pinned: a checksum is never computed from what a download happened to be.
 */
export const PINNED_ARCHIVES: Readonly<Record<string, PinnedArchive>> = {
  "linux-amd64": {
    version: PINNED_SERVER_VERSION,
    sha256: "bf5edc7b1ce98e885c368cb43a886eb148dc5d0551d99f3cf6141fb5e1954c70",
  },
  "linux-arm64": {
    version: PINNED_SERVER_VERSION,
    sha256: "e2fbab4cad7d3c76e3052eb959570393c9d73ba756b70bf8e9eea61e9ae6d49c",
  },
  "darwin-amd64": {
    version: "2.14.5",
    sha256: "f95c98d6b6ed2b63c5681b46b092c9585c99767d547cf495730c329234625e96",
  },
  "darwin-arm64": {
    version: "2.15.0",
    sha256: "e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8",
  },
  "windows-amd64": {
    version: "2.15.0",
    sha256: "2d0861dc2ca3567d17f7d19611d7b346cc2ccbd7086a0a77cc957a2c71663200",
  },
  "windows-arm64": {
    version: "2.15.0",
    sha256: "d468fa3f0ac953bed2219e37a2b5977d87cb8d705d5bbdc70b9f960e12fb7c38",
  },
};

/** Where releases are published, without the version. */
const RELEASES_URL = "https://github.com/nats-io/nats-server/releases/download";

/** How long the download may take; unpacking is allowed the same again. */
const DOWNLOAD_TIMEOUT_MS = 60_000;

/** The largest archive that is read, in bytes; releases have about 7 MB. */
const LARGEST_ARCHIVE_BYTES = 64 * 1024 * 1024;

/** What tests replace: which archive, from where. */
export interface ReleaseSource {
  readonly platform: string;
  readonly archives: Readonly<Record<string, PinnedArchive>>;
  readonly url: string;
}

/** The archive for this machine from the project's release page. */
export const officialRelease: FetchWay = releaseFrom({
  platform: `${goPlatform()}-${goArchitecture()}`,
  archives: PINNED_ARCHIVES,
  url: RELEASES_URL,
});

/** A way of fetching a release archive from a given place. */
export function releaseFrom(source: ReleaseSource): FetchWay {
  const { platform, archives, url } = source;
  const archive = archives[platform];
  return {
    title: `official release ${archive?.version ?? PINNED_SERVER_VERSION} for ${platform}`,
    async fetch({ folder }) {
      if (!archive) throw new ServerFetchError("skipped: no checksum is pinned for this platform");
      const name = `nats-server-v${archive.version}-${platform}`;
      const file = platform.startsWith("windows") ? `${name}.zip` : `${name}.tar.gz`;
      const bytes = await download(`${url}/v${archive.version}/${file}`);
      const found = createHash("sha256").update(bytes).digest("hex");
      if (found !== archive.sha256) {
        throw new ServerFetchError(
          `refused: the checksum of ${file} is ${found}, expected ${archive.sha256}`,
        );
      }
      await writeFile(join(folder, file), bytes);
      // The tar of Windows reads zip archives too.
      const unpack = { cwd: folder, timeoutMs: DOWNLOAD_TIMEOUT_MS };
      const unpacked = await runCommand("tar", ["-xf", file], unpack);
      if (unpacked.failure !== undefined) {
        throw new ServerFetchError(`tar cannot unpack ${file}: ${unpacked.failure}`);
      }
      return join(folder, name, SERVER_FILE_NAME);
    },
  };
}

async function download(url: string): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok || !response.body) {
      throw new ServerFetchError(`${url} answered ${response.status} ${response.statusText}`);
    }
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const part of response.body as AsyncIterable<Uint8Array>) {
      sizeBytes += part.byteLength;
      if (sizeBytes > LARGEST_ARCHIVE_BYTES) {
        throw new ServerFetchError(`${url} is larger than ${LARGEST_ARCHIVE_BYTES} bytes`);
      }
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (cause) {
    if (cause instanceof ServerFetchError) throw cause;
    const { message, cause: origin } = cause as Error;
    const why = origin instanceof Error ? origin.message : message;
    throw new ServerFetchError(`cannot download ${url}: ${why}`, { cause });
  }
}

function goPlatform(): string {
  return process.platform === "win32" ? "windows" : process.platform;
}

function goArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
