/**
 * Command lines of the docs, carried out as they stand there: with the official `nats` command line
 * and this build of `contrail`.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";
import { writeScript } from "../../helpers/folders.ts";
import { findNatsCli } from "../../helpers/nats-cli.ts";
import type { World } from "./world.ts";

/** Longest time for one block, on a busy machine. */
const BLOCK_MS = 300_000;

/** Carries out blocks of one page. */
export class DocumentedCommands {
  readonly #page: string;
  readonly #binary: string;

  /** Nothing, with the reason, where the official command line is neither found nor can be built. */
  static async of(page: string): Promise<DocumentedCommands | { readonly missing: string }> {
    const cli = await findNatsCli();
    return "missing" in cli ? cli : new DocumentedCommands(page, cli.binary);
  }

  private constructor(page: string, binary: string) {
    this.#page = readFileSync(page, "utf8");
    this.#binary = binary;
  }

  /** The block behind `<!-- tested: NAME -->`. */
  block(name: string): string {
    const [, block] = this.#page.split(`<!-- tested: ${name} -->`);
    const text = /^\s*```\w*\n([\s\S]*?)```/.exec(block ?? "")?.[1];
    if (text === undefined) throw new Error(`The page has no block "${name}".`);
    return text;
  }

  /**
   * Runs the block behind `<!-- tested: NAME -->` in the test's folder, and returns what it printed.
   * @throws {Error} When there is none, or it failed: then with what it printed.
   */
  async run(name: string, world: Pick<World, "access" | "folder">): Promise<string> {
    const script = this.block(name);
    const { folder, access } = world;
    const bin = join(folder, "bin");
    writeScript(join(bin, "nats"), `exec '${this.#binary}' "$@"`);
    const main = resolve("dist/engine/cli/main.js");
    writeScript(join(bin, "npx"), "shift", `exec '${process.execPath}' '${main}' "$@"`);
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", script], {
      cwd: folder,
      timeout: BLOCK_MS,
      env: {
        ...process.env,
        PATH: `${bin}${delimiter}${process.env["PATH"]}`,
        XDG_CONFIG_HOME: join(folder, "config"), // no context of whoever runs the tests
        NATS_URL: access.servers.join(","),
        NATS_USER: access.user,
        NATS_PASSWORD: access.pass,
      },
    });
    return stdout + stderr;
  }
}
