/** Where log lines go. Each is a sentence with data; the host program decides what to do with it. */
export interface LogSink {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Data of a log line; `runId`, `taskName` and `worker` have these names everywhere. */
export interface LogFields {
  readonly [field: string]: unknown;
}

/** A sink that drops everything. */
export const silentLog: LogSink = { debug() {}, info() {}, warn() {}, error() {} };
