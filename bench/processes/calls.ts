/** Calls from the suite to its processes, over the channel that Node opens for a forked process. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** A question to a process. */
export interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

/** Its answer. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  /** Why it could not be done, with the stack. */
  readonly error?: string;
}

/** What a process has used. Memory is in bytes, after a collection of garbage if it was asked for. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
}

/** Whether garbage is collected before memory is looked at. */
export interface UsageQuestion {
  readonly collect?: boolean;
}

/**
 * Answers calls until the suite goes away; then the process ends. Every process also answers `usage`.
 * @param calls Its methods are what the process can be asked to do.
 * @param close Called when the suite asks the process to close.
 */
export function serveCalls(calls: object, close: () => Promise<void>): void {
  process.on("message", (question: Question) => {
    void answer(calls as Calls, question).then((reply) => process.send?.(reply));
  });
  const end = (): void => void close().finally(() => process.exit());
  process.once("disconnect", end);
  // Ctrl-C reaches the whole group: the suite decides when its processes end.
  process.on("SIGINT", () => {});
}

type Calls = Readonly<Record<string, (argument: unknown) => unknown>>;

async function answer(calls: Calls, { id, name, argument }: Question): Promise<Answer> {
  try {
    if (name === "usage") return { id, value: usage(argument as UsageQuestion | undefined) };
    if (!calls[name]) throw new Error(`This process has no call "${name}".`);
    return { id, value: await calls[name](argument) };
  } catch (error) {
    return { id, error: error instanceof Error ? withCauses(error) : String(error) };
  }
}

function withCauses(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\ncaused by ${withCauses(error.cause)}` : stack;
}

let collectGarbage: (() => void) | undefined;

function usage({ collect = false }: UsageQuestion = {}): Usage {
  if (collect) {
    setFlagsFromString("--expose-gc");
    collectGarbage ??= runInNewContext("gc") as () => void;
    collectGarbage();
    collectGarbage();
  }
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { cpuUs: user + system, rssBytes: rss, heapBytes: heapUsed, externalBytes: external };
}
