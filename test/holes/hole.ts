/**
 * Declares the tests of one hole of the protocol: the same scenario against the product, where it
 * comes to what the rule promises, and against mutants that break the rule, where it does not.
 */
import { isDeepStrictEqual } from "node:util";
import test from "ava";
import { until } from "../helpers/until.ts";
import { buildMutant, PRODUCT } from "../mutants/mutant.ts";
import { mutantCalled } from "../mutants/mutants.ts";
import { loadBuild } from "./build.ts";
import { Ground, type Place, type PlaceOptions } from "./place.ts";

/** What a scenario came to: plain data, or how to look at it until it is as expected. */
export type Evidence = unknown;

/** One way into a hole. */
export interface Hole extends PlaceOptions {
  /** A sentence in the present tense: what the product does. */
  readonly title: string;
  /** Default R1 alone. */
  readonly on?: readonly ("R1" | "R3")[];
  /** Drives workers through the interleaving. May return a function, which is called repeatedly. */
  readonly scenario: (place: Place) => Promise<Evidence | (() => Promise<Evidence>)>;
  /** The evidence with the product. */
  readonly closed: Evidence;
  /** The evidence with each mutant. */
  readonly opened: { readonly [mutant: string]: Evidence };
}

/** A mutant is tried on one server; on three too when asked for (`npm run mutants`). */
const areAllTried = process.env.CONTRAIL_MUTANTS === "all";
/** How long evidence may take to become what is expected. */
const EVIDENCE_MS = 10_000;
/** How many scenarios of a file run at once. */
const AT_ONCE = 4;

const grounds = new Map<"R1" | "R3", Ground>();
let running = 0;
const waiting: (() => void)[] = [];

test.after.always(async () => {
  for (const ground of grounds.values()) await ground.close();
});

/** Declares a hole by its number in protocol.md. */
export function hole(number: number, way: Hole): void {
  for (const title of way.on ?? (["R1"] as const)) {
    const name = `hole ${number}, ${title}: ${way.title}`;
    test(name, async (t) => {
      t.deepEqual(await play(title, way, PRODUCT, way.closed), way.closed);
    });
    if (title === "R3" && !areAllTried) continue;
    for (const [mutant, opened] of Object.entries(way.opened))
      test(`${name} (not so the mutant ${mutant})`, async (t) => {
        t.notDeepEqual(opened, way.closed);
        t.deepEqual(await play(title, way, buildMutant(mutantCalled(mutant)), opened), opened);
      });
  }
}

async function play(
  title: "R1" | "R3",
  { scenario, ...options }: Hole,
  folder: string,
  expected: Evidence,
): Promise<Evidence> {
  const ground = grounds.get(title) ?? new Ground(title);
  grounds.set(title, ground);
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    const place = await ground.open(await loadBuild(folder), options);
    try {
      const evidence = await scenario(place);
      if (typeof evidence !== "function") return evidence;
      return await settled(evidence as () => Promise<Evidence>, expected);
    } finally {
      await place.close();
    }
  } finally {
    running--;
    waiting.shift()?.();
  }
}

/** Looks until the evidence is as expected; else returns what it was last. */
async function settled(look: () => Promise<Evidence>, expected: Evidence): Promise<Evidence> {
  let last: Evidence;
  await until(
    async () => {
      last = await look();
      return isDeepStrictEqual(last, expected);
    },
    { withinMs: EVIDENCE_MS },
  ).catch(() => {});
  return last;
}
