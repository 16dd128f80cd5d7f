/**
 * `npm run fuzz`: gives as many inputs as it can to every decoder and parser, for a time, and says how
 * many that were. CONTRIBUTING.md says more.
 */
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { one } from "./campaign.ts";
import { targets } from "./targets/all.ts";
import { failureText, watch } from "./watch.ts";

interface Given {
  readonly seconds: number;
  readonly seed: string;
  readonly threads: number;
  readonly input?: number;
}

const command = new Command("fuzz")
  .description("Gives hostile inputs to decoders and parsers.")
  .argument("[targets...]", "whose name begins like this; all unless given")
  .option("--seconds <seconds>", "how long", positive, 60)
  .option("--seed <seed>", "which inputs", String(randomInt(1_000_000)))
  .option("--threads <count>", "how many at once", positive, availableParallelism())
  .option("--input <number>", "only this input of each target, and say what it is", whole);

command.parse();
const { seconds, seed, threads, input } = command.opts<Given>();
const chosen = targets.filter(
  ({ name }) => command.args.length === 0 || command.args.some((start) => name.startsWith(start)),
);
if (chosen.length === 0) {
  say(`No such target. There are ${targets.map(({ name }) => name).join(", ")}.`);
  process.exitCode = 2;
} else process.exitCode = await (input === undefined ? fuzz() : again(input));

async function fuzz(): Promise<number> {
  const names = chosen.map(({ name }) => name);
  say(`Seed ${seed}: ${names.length} targets for ${seconds} s in ${threads} threads.`);
  const cpuBefore = process.cpuUsage();
  const { failures, totals } = await watch({ seed, names, seconds, threads });
  const { user, system } = process.cpuUsage(cpuBefore);
  let inputs = 0;
  let totalMs = 0;
  for (const name of names) {
    const total = totals.get(name);
    if (!total) continue;
    inputs += total.inputs;
    totalMs += total.ms;
    const slowest = `slowest ${total.slowestMs.toFixed(1)} ms (input ${total.slowest})`;
    say(
      `${name.padEnd(26)} ${perMinute(total.inputs, total.ms)} a minute and thread, ${count(total.inputs)} inputs, ${slowest}`,
    );
  }
  const cpuMs = (user + system) / 1_000;
  say(
    `All: ${count(inputs)} inputs, ${perMinute(inputs * threads, totalMs).trim()} a minute; in ${(cpuMs / 1_000).toFixed(1)} s of processor time, so ${perMinute(inputs, cpuMs).trim()} in a minute of one processor.`,
  );
  for (const failure of failures) say(`\n${failureText(failure, seed)}`);
  return failures.length > 0 ? 1 : 0;
}

async function again(number: number): Promise<number> {
  let exitCode = 0;
  for (const target of chosen) {
    const startedAt = performance.now();
    const failure = await one(target, seed, number);
    const ms = (performance.now() - startedAt).toFixed(1);
    say(failure ? failureText(failure, seed) : `${target.name}: fine, in ${ms} ms.`);
    if (failure) exitCode = 1;
  }
  return exitCode;
}

function perMinute(inputs: number, ms: number): string {
  return count((inputs / Math.max(ms, 1)) * 60_000).padStart(11);
}

function count(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("Expected a number.");
  return value;
}
