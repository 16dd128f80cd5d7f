/** What a worker that `contrail dev` started tells it. */

/** One message, over the channel that Node opens to a child process. */
export type ChildMessage =
  /** These files were imported; some may be the reason why the worker cannot start. */
  | { readonly kind: "files"; readonly files: readonly string[] }
  /** The worker executes runs. */
  | { readonly kind: "ready" };

/** Tells the parent process; nothing happens when there is none. */
export function tellParent(message: ChildMessage): void {
  process.send?.(message);
}

/** Calls back when the parent process is gone, however it ended. */
export function onParentGone(callback: () => void): void {
  process.once("disconnect", callback);
}

/** Whether a message of a child process is one of ours. */
export function isChildMessage(message: unknown): message is ChildMessage {
  if (typeof message !== "object" || message === null || !("kind" in message)) return false;
  if (message.kind === "ready") return true;
  return message.kind === "files" && "files" in message && Array.isArray(message.files);
}
