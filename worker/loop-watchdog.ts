/** The thread that watches the event loop of a process with workers; see loop-watch.ts. */
import { writeSync } from "node:fs";
import type { Debugger } from "node:inspector";
import type { Session } from "node:inspector/promises";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../shared/clock.ts";
import { type BlockedLoop, CELL, type WatchData, type WatchOrders } from "./loop-report.ts";

/** Frames of a stack that are told. */
const FRAMES = 10;
/** Runs that are told by their names on stderr. */
const NAMES = 5;
/** The exit code of a process that was ended: an error in the software (EX_SOFTWARE). */
const EXIT_CODE = 70;
/** So long code that is blocked in something native has to come out of it, to be seen or ended. */
const NATIVE_PATIENCE_MS = 2_000;

/** What is known of code that does not let go of the loop. */
type Known = Omit<BlockedLoop, "ms">;

/** A time in which the loop did not turn. */
class Blockade {
  /** Monotonic time of the last look that saw it turn. */
  readonly since: number;
  known: Known = { stack: "", atWork: [] };
  isSeen = false;
  isTold = false;
  isEnding = false;
  readonly seen: Promise<void>;

  constructor(since: number) {
    this.since = since;
    this.seen = lookInside(data.atWork)
      .then((known) => {
        this.known = known;
      })
      .catch(() => {}) // a Node without an inspector: it is told without a place
      .finally(() => {
        this.isSeen = true;
      });
  }
}

const data = workerData as WatchData;
const cells = new Int32Array(data.cells);
let orders: WatchOrders | undefined;
let beats = 0;
let turnedAt = systemClock.monotonic();
let missed = 0;
let blockade: Blockade | undefined;

parentPort?.on("message", (message: WatchOrders) => {
  orders = message;
});
look();

/** Looks again and again. Counts looks, not time: a process that was stopped did not miss any. */
function look(): void {
  systemClock.after(data.beatMs, look);
  const now = systemClock.monotonic();
  const seen = Atomics.load(cells, CELL.beats);
  if (seen !== beats || Atomics.load(cells, CELL.isDebugged) !== 0) {
    if (blockade) void tell(blockade, Math.round(now - blockade.since));
    blockade = undefined;
    beats = seen;
    turnedAt = now;
    missed = 0;
    return;
  }
  if (++missed < data.looks) return;
  blockade ??= new Blockade(turnedAt);
  if (orders) persist(blockade, orders, now - blockade.since);
}

async function tell({ seen, ...blocked }: Blockade, ms: number): Promise<void> {
  await seen;
  parentPort?.postMessage({ ms, ...blocked.known } satisfies BlockedLoop);
}

/** It goes on and on: says so where nobody has to turn for it, and ends the process if it may. */
function persist(blocked: Blockade, { workers, tellAfterMs, endAfterMs }: WatchOrders, ms: number) {
  const isOver = (limitMs: number): boolean =>
    ms >= limitMs + (blocked.isSeen ? 0 : NATIVE_PATIENCE_MS);
  if (isOver(tellAfterMs) && !blocked.isTold) {
    blocked.isTold = true;
    print(
      `The event loop of worker ${workers} has been blocked for ${Math.round(ms)} ms, so its claims are lost.${inside(blocked.known)}`,
    );
  }
  if (endAfterMs === undefined || !isOver(endAfterMs) || blocked.isEnding) return;
  blocked.isEnding = true;
  print(
    `The event loop of worker ${workers} has been blocked for ${Math.round(ms)} ms; the process is ended, and its runs go on at other workers.${inside(blocked.known)}`,
  );
  // A signal would do nothing to the first process of a container.
  lookInside(`process.exit(${EXIT_CODE})`).catch(() => {});
  systemClock.after(NATIVE_PATIENCE_MS, () => process.kill(process.pid, "SIGKILL"));
}

function inside({ stack, atWork }: Known): string {
  const named = atWork.slice(0, NAMES).join(", ");
  const more = atWork.length > NAMES ? `, and ${atWork.length - NAMES} more` : "";
  const runs = atWork.length === 0 ? "" : ` At work: ${named}${more}.`;
  return stack === "" ? runs : `${runs} The code is at\n${stack}`;
}

function print(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // nobody reads it
  }
}

/**
 * Stops the main thread where it is, for a moment, and evaluates an expression there. Native code is
 * stopped when it returns.
 */
async function lookInside(expression: string): Promise<Known> {
  const inspector = await import("node:inspector/promises");
  const session = new inspector.Session();
  session.connectToMainThread();
  const scripts = new Map<string, string>(); // a frame only has the number of its script
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
  try {
    const paused = new Promise<Debugger.PausedEventDataType>((resolve) => {
      session.once("Debugger.paused", ({ params }) => resolve(params));
    });
    await session.post("Debugger.enable");
    await session.post("Debugger.pause");
    const { callFrames } = await paused;
    const told = await evaluate(session, callFrames, expression);
    const atWork = told === undefined ? [] : (JSON.parse(told) as string[]);
    const frames = callFrames.slice(0, FRAMES).map((frame) => frameText(frame, scripts));
    return { stack: frames.join("\n"), atWork };
  } finally {
    session.disconnect(); // lets it go on
  }
}

/** In the first frame that knows the names: those of Node's own code may not. */
async function evaluate(
  session: Session,
  callFrames: readonly Debugger.CallFrame[],
  expression: string,
): Promise<string | undefined> {
  for (const { callFrameId } of callFrames) {
    const { result } = await session.post("Debugger.evaluateOnCallFrame", {
      callFrameId,
      expression,
      returnByValue: true,
    });
    if (typeof result.value === "string") return result.value;
  }
  return undefined;
}

function frameText(
  { functionName, location }: Debugger.CallFrame,
  scripts: ReadonlyMap<string, string>,
): string {
  const { scriptId, lineNumber, columnNumber = 0 } = location;
  const place = `${scripts.get(scriptId) ?? "unknown"}:${lineNumber + 1}:${columnNumber + 1}`;
  return functionName === "" ? `    at ${place}` : `    at ${functionName} (${place})`;
}
