/**
 * A server as a child process.
 *
 * 1. It ends when this process does, however that ends: a small shell reads a pipe whose other end
 *    only this process holds, and stops the server when the pipe closes (not on Windows).
 * 2. It runs in a process group of its own, so that Ctrl-C reaches this process alone, which can then
 *    drain before it stops the server.
 * 3. Its log goes to a file, never to a pipe: a paused parent must not block the server.
 */
import { spawn } from "node:child_process";
import type { Socket } from "node:net";

/** How a server ended: its exit code, or the signal that ended it. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What is known of a child process, and the two ways to end it. */
export interface ServerProcess {
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  /** Why it is no longer there; undefined while it runs. */
  ending(): string | undefined;
  end(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Starts the executable with its output appended to an open file. Never throws: see `ending`. */
export function spawnServer(
  binary: string,
  { args, logFd }: { readonly args: readonly string[]; readonly logFd: number },
): ServerProcess {
  const child = spawn(binary, args, {
    stdio: ["ignore", logFd, logFd],
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  let ending: string | undefined;
  const exited = new Promise<ServerExit>((resolve) => {
    child.on("error", (error) => {
      // The process was never there, or a signal could not be sent to it.
      if (child.pid !== undefined) return;
      ending = `cannot be started: ${error.message}`;
      resolve({ code: null, signal: null });
    });
    child.once("exit", (code, signal) => {
      ending = `ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}`;
      resolve({ code, signal });
    });
  });
  if (child.pid !== undefined) endWithThisProcess(child.pid, exited);
  return {
    pid: child.pid ?? 0,
    exited,
    ending: () => ending,
    end(signal) {
      if (ending !== undefined || child.pid === undefined) return;
      child.kill(signal);
      // A paused process hears nothing else before it goes on.
      if (process.platform !== "win32") child.kill("SIGCONT");
    },
  };
}

/** Stops the server when this process is gone: the shell's read fails when the pipe closes. */
function endWithThisProcess(pid: number, exited: Promise<unknown>): void {
  if (process.platform === "win32") return;
  const script = 'read -r done || { kill -TERM "$1"; kill -CONT "$1"; }';
  const guard = spawn("sh", ["-c", script, "sh", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  // Without a shell the server outlives a parent that is killed; all else is the same.
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  guard.unref();
  (guard.stdin as Socket).unref();
  void exited.then(() => guard.stdin.end("done\n"));
}
