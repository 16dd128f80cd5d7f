/** What every command is made with. */
import type { Command } from "commander";
import { Cli, type GlobalOptions } from "./cli.ts";

/** Adds one command to the program. */
export type AddCommand = (program: Command) => void;

/** What a command does; it resolves with the exit code, or with nothing when all went well. */
export type CommandAction = (cli: Cli) => Promise<void> | Promise<number>;

/** Carries out a command and notes its exit code. */
export async function carryOut(command: Command, action: CommandAction): Promise<void> {
  const cli = new Cli(command.optsWithGlobals<GlobalOptions>());
  const exitCode = await action(cli);
  if (typeof exitCode === "number") process.exitCode = exitCode;
}

/** One example below the help of a command. */
export function example(line: string, explanation: string): string {
  return `\nExample:\n  $ contrail ${line}\n  ${explanation}\n`;
}
