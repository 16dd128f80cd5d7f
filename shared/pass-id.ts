/**
 * The ids of passes: unique, and readable for people who ask which worker went through a run, and in
 * a slot of which pool. A first pass begins without a claim, so its commits say so in no other way.
 */
import type { Pool } from "./subjects.ts";

/** What the id of a pass says. */
export interface PassOrigin {
  readonly worker: string;
  readonly pool: Pool;
}

const LETTERS: { readonly [P in Pool]: string } = { regular: "r", durable: "d" };
const FORM = /^(.+)\/([rd])[0-9a-z]+$/s;

/**
 * The id of a pass.
 * @param ordinal Counts the passes of this worker, whose own id is unique.
 */
export function passId(origin: PassOrigin, ordinal: number): string {
  return `${origin.worker}/${LETTERS[origin.pool]}${ordinal.toString(36)}`;
}

/** Reads back what `passId` wrote; nothing when it is another id. */
export function parsePassId(pass: string): PassOrigin | undefined {
  const [, worker, letter] = FORM.exec(pass) ?? [];
  if (worker === undefined) return undefined;
  return { worker, pool: letter === "d" ? "durable" : "regular" };
}
