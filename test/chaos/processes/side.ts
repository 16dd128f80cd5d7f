/** What every process of a chaos run does: read its options, log with times, end with the runner. */
import { writeSync } from "node:fs";
import { trueNow } from "../journal.ts";

/** Environment variable with the options of a process. */
export const OPTIONS_VARIABLE = "CONTRAIL_CHAOS_OPTIONS";

/** The options this process was started with. */
export function ownOptions<T>(): T {
  return JSON.parse(process.env[OPTIONS_VARIABLE] ?? "{}") as T;
}

type Write = (message: string, fields?: { readonly [field: string]: unknown }) => void;

/** Log lines as JSON, with the true time, written at once, so that a kill loses none. */
export const log: { debug: Write; info: Write; warn: Write; error: Write } = {
  debug: () => {},
  info: (message, fields) => print("info", message, fields),
  warn: (message, fields) => print("warn", message, fields),
  error: (message, fields) => print("error", message, fields),
};

/** Says that this process is ready, under which name, and closes it on SIGTERM or with the runner. */
export function serve(name: string, close: () => Promise<void>): void {
  process.on("disconnect", () => process.exit(1));
  process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group: the runner decides
  process.once("SIGTERM", () => {
    void close().then(
      () => process.exit(0),
      (error: unknown) => {
        print("error", "Closing failed.", { error });
        process.exit(3);
      },
    );
  });
  process.send?.({ ready: name });
}

function print(level: string, message: string, fields: object = {}): void {
  const line = JSON.stringify({ at: trueNow(), level, message, fields }, (_, value: unknown) =>
    value instanceof Error
      ? { name: value.name, message: value.message, stack: value.stack }
      : value,
  );
  writeSync(1, `${line}\n`);
}
