/**
 * The folder where fetched servers are kept, one per version: `<cache>/nats-server/<version>/`.
 * Files come into it by renaming alone, so that two processes which fetch at the same time never
 * see half a file: the later one replaces the earlier with the same thing.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { checkServer, compareVersions } from "./version.ts";

/** What the executable is called on this kind of machine. */
export const SERVER_FILE_NAME: string =
  process.platform === "win32" ? "nats-server.exe" : "nats-server";

/** The cache folder: `CONTRAIL_CACHE_DIR`, else where this kind of machine keeps caches. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.CONTRAIL_CACHE_DIR) return env.CONTRAIL_CACHE_DIR;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, "contrail");
  const home = env.HOME || homedir();
  switch (process.platform) {
    case "win32":
      return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "contrail", "cache");
    case "darwin":
      return join(home, "Library", "Caches", "contrail");
    default:
      return join(home, ".cache", "contrail");
  }
}

/** The cached files, newest version first. Empty when there is no cache. */
export async function cachedServers(cache: string): Promise<string[]> {
  const folder = join(cache, "nats-server");
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /^\d+\.\d+\.\d+$/.test(name))
    .sort((left, right) => compareVersions(right, left))
    .map((version) => join(folder, version, SERVER_FILE_NAME));
}

/** Makes an empty folder inside the cache to fetch into. The caller removes it. */
export async function makeStagingFolder(cache: string): Promise<string> {
  const folder = join(cache, "nats-server");
  await mkdir(folder, { recursive: true });
  return mkdtemp(join(folder, "fetching-"));
}

/** Moves a fetched file to its place for `version` in one step, and returns that place. */
export async function placeInCache(
  cache: string,
  fetched: { readonly file: string; readonly version: string },
): Promise<string> {
  const folder = join(cache, "nats-server", fetched.version);
  const place = join(folder, SERVER_FILE_NAME);
  await mkdir(folder, { recursive: true });
  await chmod(fetched.file, 0o755);
  try {
    await rename(fetched.file, place);
  } catch (cause) {
    // Windows refuses to replace a file that runs. The one that runs came from the same fetch.
    if ((await checkServer(place)).kind !== "usable") throw cause;
    await rm(fetched.file, { force: true });
  }
  return place;
}
