/**
 * A mutant is the project with one rule broken: a named, exact replacement in one compiled file. The
 * product has no switches for broken rules, so whoever wants to see what a rule is for runs a mutant.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One broken rule. */
export interface Mutant {
  /** In kebab case: what the mutant does. */
  readonly name: string;
  /** The rule or invariant that it breaks, as protocol, design or a file's header name it. */
  readonly rule: string;
  /** The source file, such as `worker/claims.ts`; what is changed is its compiled form. */
  readonly file: string;
  /** Text of the compiled file. It must be there exactly once. Indentation does not count. */
  readonly find: string;
  readonly replace: string;
}

/** The build that the tests are part of: the folder with `shared`, `worker` and `engine`. */
export const PRODUCT: string = fileURLToPath(new URL("../..", import.meta.url));

const REPOSITORY = join(PRODUCT, "..");
const FOLDERS = ["shared", "engine", "worker"];

const built = new Map<string, string>();
let workshop: string | undefined;

/**
 * Makes a copy of the build with this mutant in it and returns its folder, which goes away with the
 * process. The second time it returns the same.
 * @throws {Error} When the text is not there exactly once: the mutant must follow the code.
 */
export function buildMutant(mutant: Mutant): string {
  const before = built.get(mutant.name);
  if (before !== undefined) return before;
  const text = mutate(mutant);
  const folder = join(openWorkshop(), mutant.name);
  for (const name of FOLDERS) copy(join(PRODUCT, name), join(folder, name));
  writeFileSync(join(folder, compiled(mutant.file)), text);
  built.set(mutant.name, folder);
  return folder;
}

/**
 * The compiled file with the replacement.
 * @throws {Error} When the text is not there exactly once.
 */
export function mutate({ name, file, find, replace }: Mutant): string {
  const text = readFileSync(join(PRODUCT, compiled(file)), "utf8");
  const pattern = new RegExp(find.trim().split(/\s+/).map(literal).join("\\s+"), "g");
  const count = text.match(pattern)?.length ?? 0;
  if (count === 1) return text.replace(pattern, () => replace);
  throw new Error(
    `The mutant "${name}" looks for a text that ${file} has ${count} times when compiled, not once. The code has changed: let the mutant follow it, in test/mutants/.\n${find}`,
  );
}

function compiled(file: string): string {
  return file.replace(/\.ts$/, ".js");
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A folder in which Node finds the same packages as in the repository. */
function openWorkshop(): string {
  if (workshop !== undefined) return workshop;
  const folder = mkdtempSync(join(tmpdir(), "contrail-mutants-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(REPOSITORY, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  workshop = folder;
  return folder;
}

/** Copies every compiled file: a path of its own makes it a module of its own. */
function copy(from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".js")) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, source.slice(from.length));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(source, target);
  }
}
