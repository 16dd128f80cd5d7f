/**
 * Loads the files of tasks that a user names on the command line: JavaScript, and TypeScript natively
 * where Node can strip its types, else by tsx.
 */
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ContrailError, InvalidInputError } from "../../shared/index.ts";
import { type AnyTask, isTask } from "../../shared/task.ts";

/** A file of tasks could not be loaded: it throws, has a syntax error, or imports what is not there. */
export class TaskFileError extends ContrailError {
  readonly code = "task-file";
  readonly retryable = false;
}

/** What was found in the files. */
export interface LoadedTasks {
  readonly tasks: readonly AnyTask[];
  /** What is better changed in them, for people. */
  readonly advice: readonly string[];
}

const TYPESCRIPT = new Set([".ts", ".mts", ".cts", ".tsx"]);
const SCRIPTS = new Set([...TYPESCRIPT, ".js", ".mjs", ".cjs", ".jsx"]);
/** What Node says of TypeScript that is more than JavaScript with types, or imported without ending. */
const BEYOND_STRIPPING = new Set([
  "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX",
  "ERR_INVALID_TYPESCRIPT_SYNTAX",
  "ERR_UNKNOWN_FILE_EXTENSION",
  "ERR_MODULE_NOT_FOUND",
  "ERR_UNSUPPORTED_DIR_IMPORT",
]);

/**
 * Imports the files and collects the tasks that they export, under whatever names: alone, in lists,
 * or in an object that is the default export.
 * @throws {InvalidInputError} When a file is not there, or exports no task.
 * @throws {TaskFileError} When a file cannot be loaded.
 */
export async function loadTasks(files: readonly string[]): Promise<LoadedTasks> {
  const paths = files.map(checkFile);
  const tasks = new Set<AnyTask>();
  const advice: string[] = [];
  for (const path of paths) {
    const before = tasks.size;
    for (const task of tasksIn(await importFile(path))) tasks.add(task);
    const shown = shownPath(path);
    if (tasks.size === before)
      throw new InvalidInputError(
        `The file ${shown} exports no task that is not in the files before it. Write "export const hello = task({ name: ..., run: ... })" with task or durableTask of "contrail/task".`,
        { file: path },
      );
    if (isCommonJs(path))
      advice.push(
        `${shown} is read as CommonJS, which gives it a copy of Contrail of its own: "instanceof RunFailedError" would not hold. Put "type": "module" into package.json.`,
      );
  }
  return { tasks: [...tasks], advice };
}

/** The tasks among the exports of a module. */
export function tasksIn(exports: object): AnyTask[] {
  const found = new Set<AnyTask>();
  const visit = (value: unknown, depth: number): void => {
    if (isTask(value)) found.add(value);
    else if (Array.isArray(value)) for (const item of value) visit(item, depth);
    else if (isObject(value) && depth > 0)
      for (const inner of Object.values(value)) visit(inner, depth - 1);
  };
  for (const [name, value] of Object.entries(exports)) {
    // A CommonJS module is the default export, and may have one called "default" again.
    if (name === "default" || name === "module.exports") visit(value, 2);
    else visit(value, 0);
  }
  return [...found];
}

/**
 * The full path of a file of tasks.
 * @throws {InvalidInputError} When it is not there, or no JavaScript or TypeScript.
 */
export function checkFile(file: string): string {
  const path = resolve(file);
  if (!existsSync(path))
    throw new InvalidInputError(
      `There is no file ${JSON.stringify(file)}. Name the files that export your tasks.`,
      { file: path },
    );
  if (statSync(path).isDirectory() || !SCRIPTS.has(extname(path)))
    throw new InvalidInputError(
      `${JSON.stringify(file)} is no JavaScript or TypeScript file. Name the files that export your tasks.`,
      { file: path },
    );
  return path;
}

async function importFile(path: string): Promise<object> {
  const isTypeScript = TYPESCRIPT.has(extname(path));
  try {
    if (isTypeScript && !stripsTypes()) await useTsx();
    return await importPath(path);
  } catch (error) {
    if (!isTypeScript || !stripsTypes() || !BEYOND_STRIPPING.has(codeOf(error)))
      throw wrap(path, error);
  }
  try {
    await useTsx();
    return await importPath(path);
  } catch (error) {
    throw wrap(path, error);
  }
}

async function importPath(path: string): Promise<object> {
  return (await import(pathToFileURL(path).href)) as object;
}

/** Whether this Node runs TypeScript by itself. */
function stripsTypes(): boolean {
  return Boolean((process.features as { readonly typescript?: unknown }).typescript);
}

let tsx: Promise<void> | undefined;

/** From here on, whatever is imported or required may be TypeScript. */
function useTsx(): Promise<void> {
  tsx ??= (async () => {
    const [esm, cjs] = await Promise.all([import("tsx/esm/api"), import("tsx/cjs/api")]);
    cjs.register();
    esm.register();
  })();
  return tsx;
}

function isCommonJs(path: string): boolean {
  return TYPESCRIPT.has(extname(path)) && path in createRequire(import.meta.url).cache;
}

function wrap(path: string, cause: unknown): ContrailError {
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  const place = cause instanceof Error ? placeIn(cause.stack ?? "") : undefined;
  const where = place === undefined || text.includes(place.trim()) ? "" : ` (${place})`;
  return new TaskFileError(
    `The file ${shownPath(path)} cannot be loaded: ${text.replace(/\s+/g, " ")}${where}. --debug shows more.`,
    { cause, file: path },
  );
}

/** A file with its line, at the beginning of a line or after a space or a parenthesis. */
const PLACE = /(?<=^|[\s(])((?:file:\/\/)?\/[^()\n]+?):(\d+)(?=[:)\s]|$)/gm;

/** The first place in a stack that is neither Node's nor a package's: file and line. */
export function placeIn(stack: string): string | undefined {
  for (const [, file, line] of stack.matchAll(PLACE)) {
    if (file === undefined || file.includes("/node_modules/")) continue;
    return `${shownPath(file.startsWith("file:") ? fileURLToPath(file) : file)}:${line}`;
  }
  return undefined;
}

function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown === "" || shown.startsWith("..") ? path : shown;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
