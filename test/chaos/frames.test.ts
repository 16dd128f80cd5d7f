import test from "ava";
import { FrameRepeater } from "./frames.ts";

const WRITE = "PUB contrail.log.0.job.a.h _INBOX.1 5\r\nhello\r\n";
const GUARDED = "HPUB contrail.log.0.job.a.h _INBOX.2 12 17\r\nNATS/1.0\r\n\r\nhello\r\n";
const QUIET = "PUB contrail.live.x 2\r\n\r\n\r\n";
const ACK = "PUB $JS.ACK.x.y.1.2.3.4.5 _INBOX.3 4\r\n+ACK\r\n";
const OTHER = "PING\r\nSUB a.* 1\r\n";

/** Gives a text to a repeater in pieces of a length. */
function passed(text: string, every: number, length: number): string {
  const frames = new FrameRepeater();
  frames.every = every;
  const bytes = Buffer.from(text);
  let out = "";
  for (let i = 0; i < bytes.length; i += length)
    out += frames.pass(bytes.subarray(i, i + length)).toString();
  return out;
}

test("writes with an answer are sent twice, whole, and nothing else is, however the bytes arrive", (t) => {
  const text = OTHER + WRITE + QUIET + GUARDED + ACK + WRITE;
  const expected = OTHER + WRITE + WRITE + QUIET + GUARDED + GUARDED + ACK + WRITE + WRITE;
  for (const length of [1, 2, 3, 7, 16, 50, 1_000]) t.is(passed(text, 1, length), expected);
});

test("every second write is sent twice", (t) => {
  t.is(passed(WRITE + GUARDED + WRITE, 2, 9), WRITE + WRITE + GUARDED + WRITE + WRITE);
});

test("bytes pass as they are when nothing is to be repeated", (t) => {
  const text = OTHER + WRITE + QUIET + GUARDED + ACK;
  t.is(passed(text, 0, 5), text);
});
