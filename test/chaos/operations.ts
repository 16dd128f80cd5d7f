/** Records what clients ask for and what they are told. */
import { ContrailError, RunCanceledError, RunFailedError } from "../../shared/errors.ts";
import { Journal, trueNow } from "./journal.ts";
import { pause } from "./pause.ts";

/** What a client does. */
export type OperationName =
  | "start"
  | "publish"
  | "cancel"
  | "terminate"
  | "result"
  | "repair"
  | "list";

/** What is recorded of it besides its name. */
export interface OperationDetails {
  readonly taskName?: string;
  readonly runId?: string;
  readonly eventName?: string;
  readonly payload?: unknown;
  readonly key?: string;
}

/** How an operation ended. */
export type Edge =
  | { readonly edge: "ok"; readonly value: unknown }
  | { readonly edge: "failed" | "unknown"; readonly error: unknown };

/** The operations of one process. */
export class Operations {
  readonly #journal: Journal;
  readonly #process: string;
  #count = 0;

  constructor(folder: string, process: string) {
    this.#journal = new Journal(folder, `operations-${process}.jsonl`);
    this.#process = process;
  }

  /** Does something and records when it was asked for and what came of it. Never rejects. */
  async record(
    op: OperationName,
    details: OperationDetails,
    action: () => Promise<unknown>,
  ): Promise<Edge> {
    const common = { id: `${this.#process}/${this.#count++}`, process: this.#process };
    const tell = (edge: object): void =>
      this.#journal.write({ ...common, at: trueNow(), op, ...details, ...edge });
    tell({ edge: "invoke" });
    let end: Edge;
    try {
      end = { edge: "ok", value: (await action()) ?? {} };
    } catch (error) {
      end = { edge: isRefusal(error) ? "failed" : "unknown", error: describe(error) };
    }
    tell(end);
    return end;
  }

  /** The same, again and again until its outcome is known or it is not wanted any more. */
  async untilKnown(
    op: OperationName,
    details: OperationDetails,
    action: () => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<Edge> {
    for (;;) {
      const end = await this.record(op, details, action);
      if (end.edge !== "unknown" || signal.aborted) return end;
      await pause(250);
    }
  }
}

/** Whether the answer is one that asking again would get, too. */
function isRefusal(error: unknown): boolean {
  if (error instanceof RunFailedError || error instanceof RunCanceledError) return true;
  return error instanceof ContrailError ? !error.retryable : false;
}

function describe(error: unknown): object {
  if (!(error instanceof Error)) return { name: "unknown", message: String(error) };
  const { name, message, cause } = error;
  const code = error instanceof ContrailError ? { code: error.code } : {};
  const reason = cause instanceof Error ? { cause: `${cause.name}: ${cause.message}` } : {};
  return { name, ...code, message: message.slice(0, 400), ...reason };
}
