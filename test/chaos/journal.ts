/**
 * The files of a chaos run: one JSON object a line, written at once, so that a kill loses nothing that
 * was written before it. docs/chaos.md has the format.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Environment variable with the folder of the chaos run. */
export const FOLDER_VARIABLE = "CONTRAIL_CHAOS_DIR";
/** Environment variable with the name of this process's life. */
export const PROCESS_VARIABLE = "CONTRAIL_CHAOS_PROCESS";

/**
 * The true time of this machine, in milliseconds since the epoch, also where the clock of the process
 * is shifted: that of its start, and what has passed since.
 */
export function trueNow(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000) / 1000;
}

/** A file that only grows. */
export class Journal {
  readonly #file: number;

  constructor(folder: string, name: string) {
    this.#file = openSync(join(folder, name), "a");
  }

  /** Appends one object as a line. Appending is atomic for lines this short. */
  write(line: object): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** The folder of the chaos run that this process belongs to, and the process's own name. */
export function ownPlace(): { readonly folder: string; readonly process: string } {
  const { [FOLDER_VARIABLE]: folder, [PROCESS_VARIABLE]: name } = process.env;
  if (folder === undefined || name === undefined)
    throw new Error(`${FOLDER_VARIABLE} and ${PROCESS_VARIABLE} are not set.`);
  return { folder, process: name };
}
