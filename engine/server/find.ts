/**
 * Finds a nats-server that is new enough, or fetches one into the cache. What is set by hand comes
 * first, then what is installed, then what was fetched before, then the ways of fetching in turn.
 */
import { rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import {
  cachedServers,
  cacheFolder,
  makeStagingFolder,
  placeInCache,
  SERVER_FILE_NAME,
} from "./cache.ts";
import { ServerFetchError, ServerNotFoundError } from "./errors.ts";
import { debianPackage } from "./fetch-debian.ts";
import { goInstall } from "./fetch-go.ts";
import { officialRelease } from "./fetch-release.ts";
import type { FetchWay } from "./fetch-way.ts";
import { checkServer, OLDEST_SERVER_VERSION } from "./version.ts";

/** A server that can be started. */
export interface FoundServer {
  /** The executable. */
  readonly binary: string;
  /** Three numbers, such as `2.15.1`. */
  readonly version: string;
}

/** Settings of the search. */
export interface FindServerOptions {
  /** Gets one line for every try: what it was and how it ended. Default: nobody is told. */
  readonly report?: (line: string) => void;
  /** Where `CONTRAIL_NATS_SERVER`, `CONTRAIL_CACHE_DIR` and `PATH` are read. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** The ways of fetching, in order. Default: official release, Debian package, `go install`. */
  readonly ways?: readonly FetchWay[];
}

/**
 * Returns a usable nats-server: the one that `CONTRAIL_NATS_SERVER` names, else one on the `PATH`,
 * else one from the cache, else one fetched now. Fetching installs nothing outside the cache, needs
 * no privileges, and takes from seconds to several minutes; without a network it fails in seconds.
 * Safe to call from several processes at once.
 * @throws {ServerNotFoundError} When there is none, with every try and its reason; or at once when
 * `CONTRAIL_NATS_SERVER` is set and cannot be used.
 */
export async function findServer(options: FindServerOptions = {}): Promise<FoundServer> {
  const { env = process.env, ways = [officialRelease, debianPackage, goInstall] } = options;
  const tries: string[] = [];
  const told = (line: string): void => {
    tries.push(line);
    options.report?.(`nats-server: ${line}`);
  };
  return (
    (await fromEnvironment(env, told)) ??
    (await fromPath(env, told)) ??
    (await fromCache(env, told)) ??
    (await fromWays({ env, ways, told, report: options.report ?? (() => {}) })) ??
    notFound(tries)
  );
}

type Told = (line: string) => void;

async function fromEnvironment(
  env: NodeJS.ProcessEnv,
  told: Told,
): Promise<FoundServer | undefined> {
  const binary = env.CONTRAIL_NATS_SERVER;
  if (!binary) return undefined;
  const check = await checkServer(binary);
  if (check.kind === "usable") {
    told(`CONTRAIL_NATS_SERVER: version ${check.version} at ${binary}`);
    return { binary, version: check.version };
  }
  throw new ServerNotFoundError(
    `CONTRAIL_NATS_SERVER names ${binary}, which ${check.reason}. ` +
      `Set it to the path of a nats-server ${OLDEST_SERVER_VERSION} or newer, or unset it to have one found.`,
    { binary },
  );
}

async function fromPath(env: NodeJS.ProcessEnv, told: Told): Promise<FoundServer | undefined> {
  const folders = (env.PATH ?? env.Path ?? "").split(delimiter).filter((folder) => folder !== "");
  const files = folders.map((folder) => join(folder, SERVER_FILE_NAME));
  return firstUsable({ files, place: "PATH", nothing: "PATH: no nats-server", told });
}

async function fromCache(env: NodeJS.ProcessEnv, told: Told): Promise<FoundServer | undefined> {
  const cache = cacheFolder(env);
  const files = await cachedServers(cache);
  return firstUsable({ files, place: "cache", nothing: `cache: nothing in ${cache}`, told });
}

async function firstUsable(search: {
  readonly files: readonly string[];
  readonly place: string;
  readonly nothing: string;
  readonly told: Told;
}): Promise<FoundServer | undefined> {
  const refused: string[] = [];
  for (const binary of search.files) {
    const check = await checkServer(binary);
    if (check.kind === "usable") {
      search.told(`${search.place}: version ${check.version} at ${binary}`);
      return { binary, version: check.version };
    }
    if (check.kind === "unusable") refused.push(`${binary} ${check.reason}`);
  }
  search.told(refused.length === 0 ? search.nothing : `${search.place}: ${refused.join("; ")}`);
  return undefined;
}

async function fromWays(search: {
  readonly env: NodeJS.ProcessEnv;
  readonly ways: readonly FetchWay[];
  readonly told: Told;
  readonly report: (line: string) => void;
}): Promise<FoundServer | undefined> {
  for (const way of search.ways) {
    try {
      const found = await fetchIntoCache(way, search);
      search.told(`${way.title}: version ${found.version}, now at ${found.binary}`);
      return found;
    } catch (cause) {
      // Whatever went wrong (a full disk, a refused connection), the next way may do better.
      search.told(`${way.title}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  return undefined;
}

async function fetchIntoCache(
  way: FetchWay,
  search: { readonly env: NodeJS.ProcessEnv; readonly report: (line: string) => void },
): Promise<FoundServer> {
  const cache = cacheFolder(search.env);
  const folder = await makeStagingFolder(cache);
  try {
    const report = (line: string): void => search.report(`nats-server: ${way.title}: ${line}`);
    const file = await way.fetch({ folder, env: search.env, report });
    const check = await checkServer(file);
    if (check.kind !== "usable") {
      throw new ServerFetchError(`what was fetched ${check.reason}`);
    }
    const binary = await placeInCache(cache, { file, version: check.version });
    return { binary, version: check.version };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function notFound(tries: readonly string[]): never {
  throw new ServerNotFoundError(
    [
      `No nats-server ${OLDEST_SERVER_VERSION} or newer was found, and none could be fetched:`,
      ...tries.map((line) => `  - ${line}`),
      "Any one of these helps:",
      "  - install nats-server so that it is on the PATH;",
      "  - set CONTRAIL_NATS_SERVER to the path of a nats-server executable;",
      "  - set NATS_URL to a NATS server with JetStream that already runs.",
    ].join("\n"),
    { tries },
  );
}
