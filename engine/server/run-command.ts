/** Runs other programs to their end, with a time limit and without ever throwing. */
import { execFile } from "node:child_process";

/** How a program is run. */
export interface CommandOptions {
  /** Killed after this long. */
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** What a program said. `failure` is absent when it ended with exit code 0. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** In a few words: not installed, timed out, or the last line it wrote. */
  readonly failure?: string;
}

/** The `failure` of a program that does not exist. */
export const NOT_INSTALLED = "not installed";

/** The most a program may print, in bytes; one that prints more is killed. */
const LARGEST_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Runs a program without a shell and waits for its end. Resolves also when it fails or is missing. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { timeoutMs, cwd, env = process.env } = options;
  return new Promise((resolve) => {
    const limits = {
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: LARGEST_OUTPUT_BYTES,
    } as const;
    const settings = { ...limits, env, windowsHide: true, ...(cwd === undefined ? {} : { cwd }) };
    execFile(file, [...args], settings, (error, stdout, stderr) => {
      if (!error) return resolve({ stdout, stderr });
      resolve({ stdout, stderr, failure: describeFailure(error, { stdout, stderr, timeoutMs }) });
    });
  });
}

function describeFailure(
  error: Error & { code?: number | string | null; killed?: boolean },
  run: { readonly stdout: string; readonly stderr: string; readonly timeoutMs: number },
): string {
  if (error.code === "ENOENT") return NOT_INSTALLED;
  if (typeof error.code === "string") return error.code;
  if (error.killed) return `not done within ${run.timeoutMs / 1000} s`;
  const said = lastLine(run.stderr) ?? lastLine(run.stdout);
  return said ?? `ended with exit code ${error.code ?? "unknown"}`;
}

function lastLine(text: string): string | undefined {
  return text.trim().split(/\r?\n/).at(-1)?.trim() || undefined;
}
