/** Finds the writes in what a client sends to a server, and can send some of them twice. */

const CRLF = Buffer.from("\r\n");
/** Writes that have an answer: without one nobody could notice. */
const WRITE = /^(H?)PUB \S+ \S+(?: \d+)? (\d+)$/i;
const SIZED = /^H?PUB .* (\d+)$/i;

/**
 * Passes the bytes of one connection on. Every `every`-th write with a reply subject is repeated right
 * behind itself, guards and all, as a network or a proxy that repeats might do. What is no text of the
 * client protocol (TLS, a route) is passed on as it is.
 */
export class FrameRepeater {
  /** 0: none is repeated. */
  every = 0;
  #rest: Buffer = Buffer.alloc(0);
  #count = 0;
  #isForeign = false;

  /** @returns What is to be sent now: whole frames; the beginning of a frame waits for its end. */
  pass(bytes: Buffer): Buffer {
    if (this.#isForeign) return bytes;
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const out: Buffer[] = [];
    let at = 0;
    for (;;) {
      const end = this.#endOf(all, at);
      if (end === undefined) break;
      const frame = all.subarray(at, end);
      out.push(frame);
      if (this.#isRepeated(frame)) out.push(frame);
      at = end;
    }
    this.#rest = all.subarray(at);
    if (this.#rest.length > 2 ** 22) {
      this.#isForeign = true;
      out.push(this.#rest);
      this.#rest = Buffer.alloc(0);
    }
    return out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out);
  }

  #endOf(all: Buffer, at: number): number | undefined {
    const lineEnd = all.indexOf(CRLF, at);
    if (lineEnd < 0) return undefined;
    const line = all.toString("latin1", at, Math.min(lineEnd, at + 4_096));
    const [, size] = SIZED.exec(line) ?? [];
    const end = lineEnd + 2 + (size === undefined ? 0 : Number(size) + 2);
    return end <= all.length ? end : undefined;
  }

  #isRepeated(frame: Buffer): boolean {
    if (this.every === 0) return false;
    const line = frame.toString("latin1", 0, Math.min(frame.indexOf(CRLF), 4_096));
    if (!WRITE.test(line) || line.includes("$JS.API.") || line.includes("$JS.ACK.")) return false;
    return this.#count++ % this.every === 0;
  }
}
