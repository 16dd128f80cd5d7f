/** Starts whose input may be too large for the log. */
import { encodeStart, type Start } from "./messages.ts";
import type { Payloads } from "./payloads.ts";
import type { RunAddress } from "./subjects.ts";

/**
 * The start to publish with its body: the very one, or one whose input is in the object store.
 * @throws {InvalidInputError} When the input cannot be stored.
 * @throws {LimitExceededError} When it is larger than any value may be.
 */
export async function startMessage(
  payloads: Payloads,
  run: RunAddress,
  start: Start,
): Promise<{ readonly start: Start; readonly body: Uint8Array }> {
  const body = encodeStart(start);
  if (body.length <= payloads.inlineBytes) return { start, body };
  const what = `input of run "${run.runId}" of task "${run.taskName}"`;
  const small = { ...start, input: await payloads.stow(start.input, { run }, what) };
  return { start: small, body: encodeStart(small) };
}
