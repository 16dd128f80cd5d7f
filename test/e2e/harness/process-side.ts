/** What every process of a test does: read its options, log as JSON lines, end with the test. */
import { writeSync } from "node:fs";
import { OPTIONS_VARIABLE } from "./child-process.ts";

/** The options this process was started with. */
export function ownOptions<T>(): T {
  return JSON.parse(process.env[OPTIONS_VARIABLE] ?? "{}") as T;
}

type Fields = { readonly [field: string]: unknown };
type Write = (message: string, fields?: Fields) => void;

/** A log sink that prints JSON lines, at once, so that a kill loses none. */
export const jsonLog: { debug: Write; info: Write; warn: Write; error: Write } = {
  debug: (message, fields) => print("debug", message, fields),
  info: (message, fields) => print("info", message, fields),
  warn: (message, fields) => print("warn", message, fields),
  error: (message, fields) => print("error", message, fields),
};

/** Says that this process is ready, and closes it on SIGTERM or when the test is gone. */
export function serve(id: string, close: () => Promise<void>): void {
  process.on("disconnect", () => process.exit(1));
  process.once("SIGTERM", () => {
    void close().then(
      () => process.exit(0),
      (error: unknown) => {
        print("error", "Closing failed.", { error });
        process.exit(3);
      },
    );
  });
  process.send?.({ ready: id });
}

function print(level: string, message: string, fields: Fields = {}): void {
  const shown = JSON.stringify({ level, message, fields }, (_, value: unknown) =>
    value instanceof Error
      ? { name: value.name, message: value.message, stack: value.stack }
      : value,
  );
  try {
    writeSync(1, `${shown}\n`);
  } catch {
    // the test is gone, or its pipe is full
  }
}
