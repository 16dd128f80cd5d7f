/**
 * Which files of the user's own the task files have imported, so that a change of any of them can be
 * noticed: what is in node_modules or belongs to Contrail is left out.
 */
import * as nodeModule from "node:module";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";

/** Follows what is imported from the moment it is made. */
export interface ImportTracker {
  /** Files that were imported so far, whether or not they could be loaded. */
  files(): string[];
}

type LoadHook = (
  url: string,
  context: unknown,
  next: (url: string, context: unknown) => unknown,
) => unknown;
/** Node 22.15 and newer: hooks in this thread. */
type RegisterHooks = (hooks: { readonly load: LoadHook }) => void;

/** The hook for older versions of Node, which run hooks in a thread of their own. */
const HOOK = `let port;
export function initialize(given) { port = given; }
export function load(url, context, next) { port.postMessage(url); return next(url, context); }`;

/** Begins to follow imports, for the rest of the process. */
export function trackImports(): ImportTracker {
  const urls = new Set<string>();
  const collect = follow(urls);
  const require = nodeModule.createRequire(import.meta.url);
  const own = ownFolders(require);
  return {
    files() {
      collect();
      const files = new Set<string>(Object.keys(require.cache));
      for (const url of urls) {
        const file = pathOf(url);
        if (file !== undefined) files.add(file);
      }
      return [...files].filter((file) => isUsersFile(file, own)).sort();
    },
  };
}

function follow(urls: Set<string>): () => void {
  const { registerHooks } = nodeModule as { readonly registerHooks?: RegisterHooks };
  if (registerHooks) {
    registerHooks({
      load(url, context, next) {
        urls.add(url);
        return next(url, context);
      },
    });
    return () => {};
  }
  const { port1, port2 } = new MessageChannel();
  nodeModule.register(`data:text/javascript,${encodeURIComponent(HOOK)}`, {
    data: port2,
    transferList: [port2],
  });
  port1.unref();
  return () => {
    for (let got = receiveMessageOnPort(port1); got; got = receiveMessageOnPort(port1))
      urls.add(String(got.message));
  };
}

function pathOf(url: string): string | undefined {
  try {
    const { protocol, pathname } = new URL(url);
    return protocol === "file:" ? fileURLToPath(`file://${pathname}`) : undefined;
  } catch {
    return undefined; // a module that is no file
  }
}

function ownFolders(require: NodeJS.Require): string[] {
  const root = dirname(require.resolve("contrail/package.json"));
  return ["", "dist"].flatMap((base) =>
    ["shared", "engine", "worker"].map((folder) => join(root, base, folder) + sep),
  );
}

/** Whether a file is one that the user may change. */
export function isUsersFile(file: string, own: readonly string[]): boolean {
  if (!file.startsWith(sep) && !/^[A-Za-z]:/.test(file)) return false;
  return (
    !file.includes(`${sep}node_modules${sep}`) && !own.some((folder) => file.startsWith(folder))
  );
}
