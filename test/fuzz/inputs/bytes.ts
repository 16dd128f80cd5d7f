/** Message bodies: good ones, good ones with something changed, CBOR by hand, and noise. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import type { Random } from "../../chaos/random.ts";
import { cbor } from "./cbor.ts";

/** First bytes of a message. */
const PLAIN = 1;
const DEFLATED = 2;
const FOLDER = "test/golden";

/** What a golden history is, as far as it is looked at here. */
interface GoldenFile {
  readonly input: { readonly stored: string };
  readonly commits: readonly { readonly stored: string }[];
}

let texts: readonly string[] | undefined;
let bodies: readonly Uint8Array[] | undefined;

/** The texts of the golden histories. */
export function goldenTexts(): readonly string[] {
  texts ??= readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => readFileSync(join(FOLDER, file), "utf8"));
  return texts;
}

/** All commits and inputs of the golden histories, as they are stored. */
export function goldenBodies(): readonly Uint8Array[] {
  bodies ??= goldenTexts().flatMap((text) => {
    const { input, commits } = JSON.parse(text) as GoldenFile;
    return [input, ...commits].map(({ stored }) => Uint8Array.from(Buffer.from(stored, "base64")));
  });
  return bodies;
}

/** A message of the log: what `valid` gives, or something that is none. */
export function messageBody(random: Random, valid: () => Uint8Array): Uint8Array {
  const chance = random.next();
  if (chance < 0.35) return valid();
  if (chance < 0.65) return changed(random, valid());
  if (chance < 0.9) return framed(PLAIN, cbor(random));
  if (chance < 0.94) return deflated(random, valid);
  return noise(random);
}

/** A payload of an event or CBOR of others: the same without the format byte. */
export function payloadBody(random: Random, valid: () => Uint8Array): Uint8Array {
  return messageBody(random, valid).subarray(1);
}

function framed(format: number, body: Uint8Array): Uint8Array {
  const made = new Uint8Array(body.length + 1);
  made[0] = format;
  made.set(body, 1);
  return made;
}

function deflated(random: Random, valid: () => Uint8Array): Uint8Array {
  const inner = random.chance(0.6) ? valid().subarray(1) : cbor(random);
  const body = deflateRawSync(random.chance(0.5) ? inner : changed(random, inner));
  return framed(DEFLATED, random.chance(0.7) ? body : changed(random, body));
}

/** Any bytes. */
export function noise(random: Random): Uint8Array {
  const length = random.chance(0.01) ? random.whole(1_000, 20_000) : random.whole(0, 60);
  const made = Uint8Array.from({ length }, () => random.whole(0, 255));
  if (length > 0 && random.chance(0.7)) made[0] = random.pick([PLAIN, DEFLATED]);
  return made;
}

/** Some bytes changed, cut off, inserted, or taken from elsewhere. */
export function changed(random: Random, from: Uint8Array): Uint8Array {
  let made = Uint8Array.from(from);
  for (let left = random.whole(1, 4); left > 0; left--) {
    const at = random.whole(0, Math.max(0, made.length - 1));
    switch (random.whole(0, 6)) {
      case 0:
        if (made.length > 0) made[at] = (made[at] as number) ^ (1 << random.whole(0, 7));
        break;
      case 1:
        if (made.length > 0) made[at] = random.whole(0, 255);
        break;
      case 2:
        made = made.slice(0, at);
        break;
      case 3:
        made = spliced(made, at, at, cbor(random));
        break;
      case 4:
        made = spliced(made, at, at + random.whole(0, 6), made.slice(at, at + random.whole(0, 12)));
        break;
      case 5:
        made = spliced(made, at, made.length, random.pick(goldenBodies()).slice(at));
        break;
      default:
        made = spliced(made, at, at + 1, grownHead(made[at] ?? 0, random));
    }
  }
  return made;
}

function spliced(
  from: Uint8Array,
  at: number,
  to: number,
  piece: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const rest = from.subarray(Math.min(to, from.length));
  const made = new Uint8Array(at + piece.length + rest.length);
  made.set(from.subarray(0, at));
  made.set(piece, at);
  made.set(rest, at + piece.length);
  return made;
}

/** The same kind of item, with a length that nothing has. */
function grownHead(head: number, random: Random): Uint8Array {
  const length = random.pick([
    [0x18, 0xff],
    [0x19, 0xff, 0xff],
    [0x1a, 0xff, 0xff, 0xff, 0xff],
    [0x1f],
  ]);
  const [info = 0, ...rest] = length;
  return Uint8Array.of((head & 0xe0) | info, ...rest);
}
