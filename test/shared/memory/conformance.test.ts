/**
 * The server in memory is held against the real one: random scripts of requests, the same for both,
 * answer for answer. CONTRAIL_CONFORMANCE_SCRIPTS says how many, CONTRAIL_CONFORMANCE_MS for how long
 * at the most, CONTRAIL_CONFORMANCE_SEED with which it begins.
 */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { newId, seededRandom } from "../../../shared/ids.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import { memoryLink } from "../../../shared/jetstream/memory-link.ts";
import { MemoryServer } from "../../../shared/memory/memory-server.ts";
import { VirtualTime } from "../../../shared/memory/virtual-time.ts";
import { forEachTopology, stopTopologies, type TestTopology } from "../../helpers/nats.ts";
import { openLink } from "../jetstream/fixtures.ts";
import { type Command, script } from "./conformance-commands.ts";
import { type Line, play, type Stage, TooSlowError } from "./conformance-player.ts";

test.after.always(stopTopologies);

const SCRIPTS = Number(process.env["CONTRAIL_CONFORMANCE_SCRIPTS"] ?? 150);
const FOR_MS = Number(process.env["CONTRAIL_CONFORMANCE_MS"] ?? 8_000);
const SEED = process.env["CONTRAIL_CONFORMANCE_SEED"];
/** Scripts that are played to the real server at once: much of their time is waiting. */
const AT_ONCE = 8;
/** How often a script is played until it is different each time, or too slow each time. */
const TRIES = 3;
/** How long a real server may take to do what it has said that it did. */
const PATIENCE_MS = 4_000;
/** Shorter versions of a script that are tried. */
const SHRINKS = 60;
const SHRINKS_FOR_MS = 30_000;

interface Difference {
  /** Index of the first line that is different. */
  readonly at: number;
  readonly shown: string;
}

type Script = readonly Command[];

/** Plays scripts to a real server and to one in memory. */
class Comparison {
  readonly #link: NatsLink;
  readonly #replicas: 1 | 3;
  #count = 0;
  /** Answers that were different once, and not again. */
  readonly flukes: string[] = [];

  constructor(link: NatsLink, replicas: 1 | 3) {
    this.#link = link;
    this.#replicas = replicas;
  }

  /**
   * Where the real server answers otherwise than the one in memory; nothing if nowhere.
   * @throws {TooSlowError} When the machine is too busy for it each time.
   */
  async compare(commands: Script): Promise<Difference | undefined> {
    let found: Difference | undefined;
    let last: Difference | undefined;
    let isTooSlow = false;
    for (let tries = 0; tries < TRIES; tries++)
      try {
        found = await this.#compareOnce(commands);
        if (found === undefined) {
          if (last) this.flukes.push(last.shown);
          return undefined;
        }
        last = found;
        isTooSlow = false;
      } catch (error) {
        if (!(error instanceof TooSlowError)) throw error;
        isTooSlow = true;
      }
    if (isTooSlow) throw new TooSlowError();
    return found;
  }

  /** Leaves out what is not needed for a difference, as far as that can be found out soon. */
  async shrink(commands: Script, difference: Difference): Promise<string> {
    const { clock } = this.#link;
    const until = clock.monotonic() + SHRINKS_FOR_MS;
    let shortest = commands.slice(0, difference.at + 1);
    let { shown } = difference;
    let left = SHRINKS;
    for (let at = shortest.length - 2; at >= 0 && left > 0; at--, left--) {
      if (clock.monotonic() > until) break;
      const shorter = shortest.toSpliced(at, 1);
      const found = await this.#compareOnce(shorter).catch(() => undefined);
      if (found === undefined) continue;
      shortest = shorter.slice(0, found.at + 1);
      at = Math.min(at, shortest.length - 1);
      shown = found.shown;
    }
    return `${shortest.map((each) => JSON.stringify(each)).join("\n")}\nDifferent: ${shown}`;
  }

  async #compareOnce(commands: Script): Promise<Difference | undefined> {
    const name = `C${process.pid}x${this.#count++}`;
    const expected = await this.#playInMemory(name, commands);
    const found = await this.#playForReal(name, commands, expected);
    const at = expected.findIndex((line, i) => !isSame(line, found[i]));
    const line = expected[at];
    if (line === undefined) return undefined;
    const asked = `${line.asked}\n  in memory: ${show(line)}\n  for real:  ${show(found[at])}`;
    return { at, shown: asked };
  }

  /** What the server in memory answers. */
  #playInMemory(name: string, commands: Script): Promise<Line[]> {
    const time = new VirtualTime();
    const server = new MemoryServer({ clock: time });
    const link = memoryLink(server, { name: "conformance" });
    const stage: Stage = {
      ...{ link, name, replicas: this.#replicas },
      pause: (ms) => new Promise((resolve) => void time.after(ms, resolve)),
      settle: () => link.nc.flush(),
      inform: (ask) => ask(),
      isAsExpected: () => true,
    };
    return time.run(play(stage, commands));
  }

  /** What a real server answers, up to the first difference. */
  #playForReal(name: string, commands: Script, expected: readonly Line[]): Promise<Line[]> {
    const link = this.#link;
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => void link.clock.after(ms, resolve));
    /** Too few, or another text, is a difference, which is seen when the lines are compared. */
    const wait = async (isThere: () => boolean | Promise<boolean>): Promise<void> => {
      const until = link.clock.monotonic() + PATIENCE_MS;
      while (!(await isThere()) && link.clock.monotonic() < until) await pause(1);
    };
    const infos = expected.flatMap((line) => line.infos);
    const stage: Stage = {
      ...{ link, name, replicas: this.#replicas, pause },
      settle: (arrived, step) => wait(() => arrived() >= (expected[step]?.arrived ?? 0)),
      inform: async (ask, index) => {
        let found = "";
        await wait(async () => {
          found = await ask();
          return found === infos[index];
        });
        return found;
      },
      isAsExpected: (line, step) => isSame(expected[step], line),
    };
    return play(stage, commands);
  }
}

function isSame(one: Line | undefined, other: Line | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function show(line: Line | undefined): string {
  return [line?.arrived, ...(line?.answers ?? []), ...(line?.infos ?? [])].join("\n    ");
}

async function hold(t: ExecutionContext, servers: TestTopology): Promise<void> {
  const link = await openLink(t, servers);
  const comparison = new Comparison(link, servers.replicas);
  const firstSeed =
    SEED === undefined ? Math.floor(seededRandom(newId())() * 2 ** 31) : Number(SEED);
  const seedText = (seed: number): string =>
    `CONTRAIL_CONFORMANCE_SEED=${seed} npm test -- dist/test/shared/memory/conformance.test.js`;
  t.log(seedText(firstSeed));
  const until = link.clock.monotonic() + FOR_MS;
  let [nextSeed, played, requests, tooSlow] = [firstSeed, 0, 0, 0];
  let failed: (Difference & { readonly seed: number; readonly commands: Script }) | undefined;
  const playMany = async (): Promise<void> => {
    while (!failed && nextSeed < firstSeed + SCRIPTS && link.clock.monotonic() < until) {
      const seed = nextSeed++;
      const [commands = []] = fc.sample(script, { seed, numRuns: 1 });
      try {
        const found = await comparison.compare(commands);
        if (found !== undefined) failed ??= { ...found, seed, commands };
        played++;
        requests += commands.length;
      } catch (error) {
        if (!(error instanceof TooSlowError)) throw error;
        tooSlow++;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playMany));
  const { flukes } = comparison;
  t.log(
    `${played} scripts of ${requests} requests; ${flukes.length} different only once; ${tooSlow} given up on a busy machine`,
  );
  for (const fluke of flukes.slice(0, 3)) t.log(`Different only once: ${fluke}`);
  if (failed)
    t.fail(`${seedText(failed.seed)}\n${await comparison.shrink(failed.commands, failed)}`);
  t.true(played > 0);
}

forEachTopology((title, topology) => {
  test.serial(`${title}: the server in memory answers as a real one does`, async (t) => {
    t.timeout(FOR_MS + 120_000, "No end: the server does not answer any more.");
    await hold(t, await topology());
  });
});
