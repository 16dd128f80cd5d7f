/** What user code logs with: lines say by themselves which run they belong to. */
import type { LogFields, Logger } from "../shared/contexts.ts";
import type { LogSink } from "../shared/logger.ts";

/** Whose lines they are. */
export interface LogOrigin {
  readonly taskName: string;
  readonly runId: string;
  readonly worker: string;
}

/**
 * A logger for the code of one run.
 * @param isSilent Asked for each line: whether it is dropped, as one of a replay.
 */
export function taskLogger(
  log: LogSink,
  { taskName, runId, worker }: LogOrigin,
  isSilent: () => boolean = () => false,
): Logger {
  const write =
    (level: keyof Logger) =>
    (message: string, fields?: LogFields): void => {
      if (!isSilent()) log[level](message, { ...fields, taskName, runId, worker });
    };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
