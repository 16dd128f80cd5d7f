/** `contrail slots`: who holds what. */
import type { Command } from "commander";
import { durationText, type LeaseRecord, type Pool } from "../../../shared/index.ts";
import type { Cli } from "../cli.ts";
import { carryOut, example } from "../command.ts";
import { table } from "../format.ts";

/** Adds `contrail slots`. */
export function addSlots(program: Command): void {
  program
    .command("slots")
    .summary("show who holds which slots")
    .description(
      "Shows the slots of all workers, of both pools, and the runs that hold them. A run that waits holds none.",
    )
    .addHelpText("after", example("slots", "Who works on what at this moment."))
    .action((_options: object, command: Command) => carryOut(command, showSlots));
}

async function showSlots(cli: Cli): Promise<void> {
  const leases = await cli.withClient((client) => client.leases());
  const now = cli.clock.now();
  if (leases.length === 0) cli.output.note("No worker is running.");
  if (leases.length > 0 || cli.options.json)
    cli.output.rows(leases, {
      text: (all) => slotsText(all, now),
      json: (lease) => ({ ...lease }),
    });
}

function slotsText(leases: readonly LeaseRecord[], now: number): string {
  const workers = leases.map(({ pool, worker, host, pid, capacity, held }) => [
    ...[pool, String(held.length), String(capacity), worker, host, String(pid)],
  ]);
  const parts = [table(["POOL", "HELD", "OF", "WORKER", "HOST", "PID"], workers)];
  const totals = (["regular", "durable"] as const).map((pool) => totalText(leases, pool));
  parts.push("", totals.join(", "));
  const holders = leases.flatMap(({ pool, worker, held }) =>
    held.map(({ task, run, since }) => [
      ...[pool, task, run, worker, durationText(Math.max(0, now - Date.parse(since)))],
    ]),
  );
  if (holders.length > 0) parts.push("", table(["POOL", "TASK", "RUN", "WORKER", "FOR"], holders));
  return parts.join("\n");
}

function totalText(leases: readonly LeaseRecord[], pool: Pool): string {
  let held = 0;
  let capacity = 0;
  for (const lease of leases) {
    if (lease.pool !== pool) continue;
    held += lease.held.length;
    capacity += lease.capacity;
  }
  return `${held} of ${capacity} ${pool} slots are held`;
}
