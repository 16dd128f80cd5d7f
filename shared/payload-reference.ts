/** What stands in the log for a value that is too large for it: where it is kept, and its digest. */
import { decodeToken, encodeToken, type RunAddress } from "./subjects.ts";

/** A value that is kept in the object store. Made by `Payloads` and by decoding, never by users. */
export class PayloadReference {
  /** Tokens of its subject: task, run and a random id; of a child's output its parent's too. */
  readonly path: string;
  /** Bytes of the encoded value. */
  readonly size: number;
  /** SHA-256 of them, base64url. */
  readonly digest: string;

  constructor(path: string, size: number, digest: string) {
    this.path = path;
    this.size = size;
    this.digest = digest;
  }

  /** What programs see that look at an entry without fetching its value. */
  toJSON(): { readonly payload: string; readonly bytes: number } {
    return { payload: payloadName(this.path), bytes: this.size };
  }
}

const PATH = /^[\w-]+\.[\w-]+\.[\w-]+(\.[\w-]+\.[\w-]+)?$/;
const DIGEST = /^[\w-]{43}$/;

/** Whether these are the parts of a reference. What is in a log may have been written by anybody. */
export function isReference(parts: unknown): parts is [path: string, size: number, digest: string] {
  if (!Array.isArray(parts)) return false;
  const [path, size, digest] = parts as unknown[];
  return (
    typeof path === "string" &&
    PATH.test(path) &&
    Number.isSafeInteger(size) &&
    (size as number) > 0 &&
    typeof digest === "string" &&
    DIGEST.test(digest)
  );
}

/** The path of a payload of a run. @param parent Who may refer to it too: its log keeps it alive. */
export function payloadPath(run: RunAddress, id: string, parent?: RunAddress): string {
  const tokens = [encodeToken(run.taskName), encodeToken(run.runId), id];
  if (parent) tokens.push(encodeToken(parent.taskName), encodeToken(parent.runId));
  return tokens.join(".");
}

/** What `nats object ls` calls it. */
export function payloadName(path: string): string {
  return path.replaceAll(".", "/");
}

/** The runs whose logs may refer to a payload. Nothing when this is no payload's name. */
export function ownersOf(name: string): RunAddress[] | undefined {
  const path = name.replaceAll("/", ".");
  if (!PATH.test(path)) return undefined;
  const [task = "", run = "", , ...parent] = path.split(".");
  try {
    return [[task, run], ...(parent.length === 2 ? [parent] : [])].map(
      ([taskName = "", id = ""]) => ({
        taskName: decodeToken(taskName),
        runId: decodeToken(id),
      }),
    );
  } catch {
    return undefined; // not of our making
  }
}
