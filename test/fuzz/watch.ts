/** Runs threads that fuzz, and tells when one of them hangs, or takes more memory than there is. */
import { Worker } from "node:worker_threads";
import { AT, type Failure, type Progress } from "./campaign.ts";
import type { ThreadData } from "./thread.ts";

/** What is to be done. */
export interface WatchOptions {
  readonly seed: string;
  /** Names of targets, of the module. */
  readonly names: readonly string[];
  /** A module that exports the list `targets`. */
  readonly module?: URL;
  readonly threads?: number;
  /** So many inputs of each target ... */
  readonly inputs?: number;
  /** ... or as long as this. */
  readonly seconds?: number;
  /** An input that takes longer hangs. Generous: other work may keep the processors busy. */
  readonly hangMs?: number;
  /** Memory of one thread. Enough for any input that may be accepted, and no more. */
  readonly heapMb?: number;
}

/** What came of it. */
export interface WatchResult {
  readonly failures: readonly Failure[];
  /** For each target, over all threads. */
  readonly totals: ReadonlyMap<string, Progress>;
}

const HANG_MS = 60_000;
const LOOK_MS = 250;
/** An input at the end of the time is not waited for, and told of when it has taken so long. */
const LONG_MS = 5_000;
const HEAP_MB = 1_024;

/** Lets threads go through the targets. A hang, or a lack of memory, ends all of it. */
export async function watch(options: WatchOptions): Promise<WatchResult> {
  const { threads = 1, seconds } = options;
  const progress = new Map<string, Progress>();
  const failures = new Map<string, Failure>();
  const ends = new AbortController();
  const timer = setInterval(() => ends.abort(), (seconds ?? 1e6) * 1_000);
  const all = Array.from({ length: threads }, (_, first) =>
    watchOne(options, first, ends, {
      tell: (said) => progress.set(`${first} ${said.target}`, said),
      fail: (failure) => failures.set(failure.target, failure),
    }),
  );
  await Promise.all(all);
  clearInterval(timer);
  return { failures: [...failures.values()], totals: totalsOf(progress.values()) };
}

function watchOne(
  options: WatchOptions,
  first: number,
  ends: AbortController,
  said: { tell(progress: Progress): void; fail(failure: Failure): void },
): Promise<void> {
  const { names, seed, threads = 1, inputs, seconds, hangMs = HANG_MS, heapMb = HEAP_MB } = options;
  const at = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT));
  const module = options.module ?? new URL("./targets/all.js", import.meta.url);
  const workerData: ThreadData = {
    ...{ names, seed, at, first, stride: threads, module: module.href },
    ...(inputs === undefined || seconds !== undefined ? {} : { inputs }),
  };
  const thread = new Worker(new URL("./thread.js", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 64 },
  });
  const failed = (error: string): Failure => ({
    ...{ target: names[at[AT.target] as number] ?? "", number: at[AT.number] as number, error },
    input: "not known; the command makes it again",
  });
  return new Promise((resolve) => {
    let seen = -1;
    let since = performance.now();
    const look = setInterval(() => {
      const count = Atomics.load(at, AT.count);
      const now = performance.now();
      if (count !== seen) [seen, since] = [count, now];
      else if (count > 0 && now - since > hangMs) end(failed(`An input hangs: ${hangMs} ms.`));
    }, LOOK_MS);
    const end = (failure?: Failure): void => {
      clearInterval(look);
      void thread.terminate();
      if (failure) said.fail(failure);
      resolve();
      if (failure) ends.abort();
    };
    ends.signal.addEventListener("abort", () => {
      const ms = performance.now() - since;
      end(ms > LONG_MS ? failed(`Time was over while an input took ${ms} ms.`) : undefined);
    });
    thread.on("message", ({ progress, failure }: { progress?: Progress; failure?: Failure }) => {
      if (progress) said.tell(progress);
      if (failure) said.fail(failure);
    });
    thread.on("error", (error: Error) => end(failed(error.stack ?? String(error))));
    thread.on("exit", () => end());
  });
}

function totalsOf(all: Iterable<Progress>): Map<string, Progress> {
  const totals = new Map<string, Progress>();
  for (const said of all) {
    const { target, inputs, ms, slowestMs } = said;
    const other = totals.get(target);
    totals.set(
      target,
      other
        ? {
            ...(slowestMs > other.slowestMs ? said : other),
            inputs: inputs + other.inputs,
            ms: ms + other.ms,
          }
        : said,
    );
  }
  return totals;
}

/** How a failure is told: what, on which input, and what makes it again. */
export function failureText(failure: Failure, seed: string): string {
  const { target, number, error, input } = failure;
  return [
    `${target}, input ${number} of seed ${seed}: ${error}`,
    `The input: ${input}`,
    `Again: npm run fuzz -- ${target} --seed ${seed} --input ${number}`,
  ].join("\n");
}
