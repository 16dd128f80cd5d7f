/** The end of a log file, for messages. */
import { open } from "node:fs/promises";

/** How much of the end is read, in bytes, and how many lines of it are shown. */
const TAIL_BYTES = 8192;
const TAIL_LINES = 12;

/** The last lines that were written after `fromByte`. Empty when there is no such file. */
export async function readLogTail(file: string, fromByte: number): Promise<string> {
  const log = await open(file, "r").catch(() => undefined);
  if (!log) return "";
  try {
    const { size } = await log.stat();
    const start = Math.max(fromByte, size - TAIL_BYTES);
    const { buffer, bytesRead } = await log.read({
      buffer: Buffer.alloc(TAIL_BYTES),
      position: start,
    });
    const text = buffer.subarray(0, bytesRead).toString("utf8");
    return text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  } finally {
    await log.close();
  }
}
