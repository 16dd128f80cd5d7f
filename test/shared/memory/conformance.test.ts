/**
 * The server in memory is held against the real one: random scripts of requests, the same for both,
 * answer for answer. CONTRAIL_CONFORMANCE_MS says for how long, CONTRAIL_CONFORMANCE_SEED repeats one.
 */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { newId, seededRandom } from "../../../shared/ids.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import { memoryLink } from "../../../shared/jetstream/memory-link.ts";
import { MemoryServer } from "../../../shared/memory/memory-server.ts";
import { VirtualTime } from "../../../shared/memory/virtual-time.ts";
import { forEachTopology, stopTopologies, type TestTopology } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { openLink } from "../jetstream/fixtures.ts";
import { type Command, script } from "./conformance-commands.ts";
import { type Line, type Played, play, TooSlowError } from "./conformance-player.ts";

test.after.always(stopTopologies);

const FOR_MS = Number(process.env["CONTRAIL_CONFORMANCE_MS"] ?? 10_000);
const SEED = process.env["CONTRAIL_CONFORMANCE_SEED"];
/** Scripts that are played to the real server at once: much of their time is waiting. */
const AT_ONCE = 8;
/** How often a script is played again on a machine that is too busy for it. */
const TRIES = 3;
/** How long a real server may take to do what it has said that it did. */
const PATIENCE = { withinMs: 2_000, everyMs: 1 };

const random = seededRandom(newId());
let scriptCount = 0;

/** What the server in memory answers. */
async function playInMemory(
  name: string,
  replicas: 1 | 3,
  commands: readonly Command[],
): Promise<Played> {
  const time = new VirtualTime();
  const server = new MemoryServer({ clock: time });
  const link = memoryLink(server, { name: "conformance" });
  const stage = {
    link,
    name,
    replicas,
    pause: (ms: number) => new Promise<void>((resolve) => void time.after(ms, resolve)),
    settle: () => link.nc.flush(),
    inform: (ask: () => Promise<string>) => ask(),
  };
  return time.run(play(stage, commands));
}

/** What a real server answers, given how much has to come unasked. */
function playForReal(
  link: NatsLink,
  name: string,
  replicas: 1 | 3,
  commands: readonly Command[],
  expected: Played,
): Promise<Played> {
  const stage = {
    link,
    name,
    replicas,
    pause: (ms: number) => new Promise<void>((resolve) => void link.clock.after(ms, resolve)),
    settle: async (arrived: () => number, step: number) => {
      const enough = expected.lines[step]?.arrived ?? 0;
      // Too few is a difference, which is seen when the lines are compared.
      await until(() => arrived() >= enough, PATIENCE).catch(() => {});
    },
    inform: async (ask: () => Promise<string>, index: number) => {
      let found = "";
      const isExpected = async (): Promise<boolean> => {
        found = await ask();
        return found === expected.infos[index];
      };
      await until(isExpected, PATIENCE).catch(() => {});
      return found;
    },
  };
  return play(stage, commands);
}

/** Where the real server answers otherwise than the one in memory, in words; nothing if nowhere. */
async function difference(
  link: NatsLink,
  replicas: 1 | 3,
  commands: readonly Command[],
): Promise<string | undefined> {
  const name = `C${process.pid}x${scriptCount++}`;
  const expected = await playInMemory(name, replicas, commands);
  const found = await playForReal(link, name, replicas, commands, expected);
  const at = expected.lines.findIndex(
    (line, i) => JSON.stringify(line) !== JSON.stringify(found.lines[i]),
  );
  if (at < 0) return undefined;
  const show = (line?: Line): string => [line?.arrived, ...(line?.answers ?? [])].join("\n    ");
  const { asked } = expected.lines[at] as Line;
  return `${asked}\n  in memory: ${show(expected.lines[at])}\n  for real:  ${show(found.lines[at])}`;
}

/** The same, tried again on a machine that is too busy for it. */
async function patientDifference(
  ...script: Parameters<typeof difference>
): Promise<string | undefined> {
  for (let tries = 1; ; tries++)
    try {
      return await difference(...script);
    } catch (error) {
      if (!(error instanceof TooSlowError) || tries >= TRIES) throw error;
    }
}

/** Leaves out what is not needed for a difference. */
async function shrink(
  link: NatsLink,
  replicas: 1 | 3,
  commands: readonly Command[],
  found: string,
): Promise<string> {
  let shortest = commands;
  let shown = found;
  for (let at = shortest.length - 1; at >= 0; at--) {
    const shorter = shortest.toSpliced(at, 1);
    const left = await patientDifference(link, replicas, shorter);
    if (left === undefined) continue;
    shortest = shorter;
    shown = left;
  }
  return `${shortest.map((each) => JSON.stringify(each)).join("\n")}\nDifferent: ${shown}`;
}

async function hold(t: ExecutionContext, servers: TestTopology): Promise<void> {
  const link = await openLink(t, servers);
  const firstSeed = SEED === undefined ? Math.floor(random() * 2 ** 31) : Number(SEED);
  t.log(`CONTRAIL_CONFORMANCE_SEED=${firstSeed}`);
  const until = link.clock.monotonic() + FOR_MS;
  let [nextSeed, played, requests, tooSlow] = [firstSeed, 0, 0, 0];
  const playMany = async (): Promise<void> => {
    while (link.clock.monotonic() < until) {
      const seed = nextSeed++;
      const [commands = []] = fc.sample(script, { seed, numRuns: 1 });
      try {
        const found = await patientDifference(link, servers.replicas, commands);
        if (found !== undefined) {
          const shortest = await shrink(link, servers.replicas, commands, found);
          t.fail(`CONTRAIL_CONFORMANCE_SEED=${seed}\n${shortest}`);
        }
        played++;
        requests += commands.length;
      } catch (error) {
        if (!(error instanceof TooSlowError)) throw error;
        tooSlow++;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playMany));
  t.log(`${played} scripts of ${requests} requests; ${tooSlow} given up on a busy machine`);
  t.true(played > 0);
}

forEachTopology((title, topology) => {
  test(`${title}: the server in memory answers as a real one does`, async (t) => {
    t.timeout(FOR_MS + 120_000);
    await hold(t, await topology());
  });
});
