/** Texts: names, numbers and keys as they are meant to be, and as nobody means them. */
import type { Random } from "../../chaos/random.ts";

const KEYS: readonly string[] = [
  ...["__proto__", "constructor", "toString", "valueOf", "hasOwnProperty", "prototype", "length"],
  ...["toJSON", "then", "__defineGetter__", "0", "-1", "", "kind", "of", "name", "status", "error"],
];

const ODD: readonly string[] = [
  ...[
    "",
    " ",
    ".",
    "..",
    "*",
    ">",
    "*.>",
    "a.>.b",
    "a*",
    "_",
    "__",
    "_2e",
    "_zz",
    "_2",
    "%",
    "%2e",
  ],
  ...["\u0000", "\r\n", "\n", "\t", "\u2028", "\ufeff", "\ufffd", "\ud800", "\udc00x", "a\udfff"],
  ...["é", "e\u0301", "漢字", "🦊", "\u202e", "'\"\\", "{{x}}", "$where", "$regex", "$eq"],
  ...["NaN", "Infinity", "-0", "1e999", "0x10", "9007199254740993", "-1", "00", "1_000", "٣"],
  ...["null", "true", "undefined", "[object Object]", "Nats-Sequence", "=a", "+ACK", "$JS.API.>"],
];

const LETTERS: readonly string[] = [..."abcdefghijklmnopqrstuvwxyz0123456789-_"];

/** A key of an object: mostly harmless, often one that every object has. */
export function key(random: Random): string {
  return random.chance(0.4) ? random.pick(KEYS) : word(random);
}

/** A short text of letters and digits. */
export function word(random: Random): string {
  let text = "";
  for (let left = random.whole(1, 8); left > 0; left--) text += random.pick(LETTERS);
  return text;
}

/** Any text; one in some thousands is very long. */
export function text(random: Random): string {
  const chance = random.next();
  if (chance < 0.35) return word(random);
  if (chance < 0.6) return random.pick(ODD);
  if (chance < 0.75) return random.pick(ODD) + word(random) + random.pick(ODD);
  if (chance < 0.95) return units(random, random.whole(0, 40));
  if (chance < 0.9999) return random.pick(ODD).repeat(random.whole(1, 300));
  return random.pick([word(random), random.pick(ODD)]).repeat(1_000_000 / 8);
}

/** Any code units, halves of pairs too. */
function units(random: Random, length: number): string {
  const highest = random.pick([0x7f, 0xff, 0xffff]);
  let made = "";
  for (let i = 0; i < length; i++) made += String.fromCharCode(random.whole(0, highest));
  return made;
}

/** Tokens with dots between, as subjects, names of events and patterns are. */
export function dotted(random: Random): string {
  const count = random.chance(0.01) ? random.whole(100, 2_000) : random.whole(1, 6);
  const tokens = Array.from({ length: count }, () =>
    random.chance(0.75) ? random.pick(["a", "b", "order", "*", ">", word(random)]) : text(random),
  );
  return tokens.join(".");
}

/** A text with some characters changed, left out, or there twice. */
export function mutatedText(random: Random, from: string): string {
  let made = from;
  for (let left = random.whole(1, 4); left > 0; left--) {
    const at = random.whole(0, made.length);
    const to = Math.min(made.length, at + random.whole(0, 6));
    const piece = random.pick([
      () => "",
      () => text(random).slice(0, 200),
      () => made.slice(at, to).repeat(random.whole(2, 5)),
      () => random.pick(["{", "}", "[", "]", '"', ",", ":", "9", "-", "e", "\\", "null", "1e400"]),
    ])();
    made = made.slice(0, at) + piece + made.slice(to);
    if (random.chance(0.1)) made = made.slice(0, random.whole(0, made.length));
  }
  return made;
}
