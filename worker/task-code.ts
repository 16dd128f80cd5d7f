/** Calls a durable task's code from the beginning of its run's present history. */
import type { LogSink } from "../shared/logger.ts";
import type { RunState } from "../shared/run-state.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import { makeContext } from "./context.ts";
import { Execution } from "./execution.ts";
import { sourcePlace } from "./source-places.ts";
import type { CodeOrigin, WarmRun } from "./warm-runs.ts";
import type { Work } from "./work.ts";

/** What the code is called for. */
export interface CodeRun {
  readonly runId: string;
  readonly definition: TaskDefinition;
  readonly state: RunState;
  readonly input: unknown;
  readonly origin: CodeOrigin;
  readonly log: LogSink;
}

/** Calls the code, to be handed what is recorded. */
export function callCode({ runId, definition, state, input, origin, log }: CodeRun): WarmRun {
  const execution = new Execution<Work>(state, (name) => sourcePlace(definition, name));
  let signal = (): AbortSignal => AbortSignal.abort();
  const context = makeContext({
    runId,
    startSequence: state.startSequence,
    definition,
    execution,
    log,
    signal: () => signal(),
    startedAt: state.beginning?.at ?? origin.startedAt ?? state.startedAt,
    seed: origin.seed,
  });
  return {
    execution,
    origin,
    attach: (next) => {
      signal = () => next.userSignal;
    },
    begin: () => execution.begin(() => definition.run(input, context)),
  };
}
