/** Calls a durable task's code from the beginning of its run's present history. */
import type { EventPosition } from "../shared/messages.ts";
import { makeContext } from "./context.ts";
import { Execution } from "./execution.ts";
import type { PassRun } from "./pass-run.ts";
import { sourcePlace } from "./source-places.ts";
import { taskLogger } from "./task-logger.ts";
import type { Reading } from "./token-reader.ts";
import type { CodeOrigin, WarmRun } from "./warm-runs.ts";
import type { Work } from "./work.ts";

/** Where the events of a run begin whose start is not there. */
export const NO_EVENTS: EventPosition = { after: 0, created: "" };

/** What of a run's start concerns its code. */
export function originOf({ start }: Reading): CodeOrigin {
  const { events = NO_EVENTS, nonce = "", fork, parent } = start ?? {};
  const family = parent ? { parent } : {};
  return {
    ...{ events, nonce, ...family },
    ...(fork ? { startedAt: fork.startedAt, seed: fork.seed } : {}),
  };
}

/**
 * Calls the code, to be handed what is recorded.
 * @throws {PayloadMissingError} When the input is kept apart and not there any more.
 */
export async function callCode(
  run: PassRun,
  { state, address, start, task: { definition } }: Reading,
  origin: CodeOrigin,
): Promise<WarmRun> {
  const { log, payloads, workerId: worker } = run.services;
  const input = await payloads.fetch(state.beginning ? state.beginning.input : start?.input);
  const execution = new Execution<Work>(state, (name) => sourcePlace(definition, name));
  let present = run;
  const context = makeContext({
    runId: address.runId,
    startSequence: state.startSequence,
    definition,
    execution,
    log: taskLogger(log, { ...address, worker }, () => execution.isReplaying),
    signal: () => present.userSignal,
    monotonic: () => run.services.clock.monotonic(),
    startedAt: state.beginning?.at ?? origin.startedAt ?? state.startedAt,
    seed: origin.seed,
  });
  execution.begin(() => definition.run(input, context));
  return {
    execution,
    origin,
    attach: (next) => {
      present = next;
    },
  };
}
