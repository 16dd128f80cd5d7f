/** A client in a process of its own: starts runs when a gate opens, and logs what it was told. */
import { existsSync } from "node:fs";
import { type ClientOptions, ContrailError, connect } from "../../../shared/index.ts";
import { until } from "../../helpers/until.ts";
import { jsonLog, ownOptions, serve } from "./process-side.ts";

/** One start. */
export interface StartRequest {
  readonly taskName: string;
  readonly runId: string;
  readonly input: unknown;
}

/** What came of it: the fields of a log line "started". */
export interface StartReport {
  readonly runId: string;
  /** The run's output, when it was started here or elsewhere. */
  readonly output?: unknown;
  /** Code and message of the error, when it was refused. */
  readonly code?: string;
  readonly message?: string;
}

type Options = ClientOptions & {
  readonly gate: string;
  readonly starts: readonly StartRequest[];
};

const { gate, starts, ...options } = ownOptions<Options>();
const client = await connect(options);
serve("client", () => client.close());
await until(() => existsSync(gate), { withinMs: 60_000, everyMs: 1, what: "the gate is open" });
await Promise.all(
  starts.map(async ({ taskName, runId, input }) => {
    const report = await start(taskName, runId, input);
    jsonLog.info("started", { ...report });
  }),
);

async function start(taskName: string, runId: string, input: unknown): Promise<StartReport> {
  try {
    const run = await client.start(taskName, input, { id: runId });
    return { runId, output: await run.result() };
  } catch (error) {
    if (!(error instanceof ContrailError)) throw error;
    return { runId, code: error.code, message: error.message };
  }
}
