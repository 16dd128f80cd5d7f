/** Puts the large values of entries into the object store, before the commit that refers to them. */
import type { Entry } from "../shared/entries.ts";
import { ContrailError } from "../shared/errors.ts";
import { withValues } from "../shared/large-values.ts";
import type { PayloadOwner } from "../shared/payloads.ts";
import type { Services } from "./services.ts";

/** The entries, with references in place of large values. To do it again leaves payloads behind. */
export function stowValues(
  { payloads }: Pick<Services, "payloads">,
  { run, parent }: PayloadOwner,
  entries: readonly Entry[],
): Promise<readonly Entry[]> {
  return withValues(entries, async (value, kind) => {
    if (kind === "child") return value; // it is stored apart already, or small
    const owner = kind === "output" ? { run, parent } : { run };
    try {
      return await payloads.stow(value, owner, "value");
    } catch (error) {
      // What cannot be stored anywhere becomes a failure that says so when the commit is encoded.
      if (error instanceof ContrailError && !error.retryable) return value;
      throw error;
    }
  });
}
