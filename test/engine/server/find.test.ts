/** Where a server is looked for, in which order, and what is said about it. */
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ServerFetchError, ServerNotFoundError } from "../../../engine/server/errors.ts";
import type { FetchWay } from "../../../engine/server/fetch-way.ts";
import { findServer } from "../../../engine/server/find.ts";
import { temporaryFolder, writeScript } from "../../helpers/folders.ts";

/** A stand-in for a server: it prints a version, as a real one does. */
function writeServer(file: string, version: string): string {
  return writeScript(file, `echo "nats-server: v${version}"`);
}

/** Three places to look in, and what the search said. */
function makePlaces(t: ExecutionContext) {
  const folder = temporaryFolder(t);
  const lines: string[] = [];
  return {
    lines,
    given: join(folder, "given", "my-server"),
    onPath: join(folder, "bin", "nats-server"),
    cached: (version: string) => join(folder, "cache", "nats-server", version, "nats-server"),
    cacheFolder: join(folder, "cache"),
    async find(env: NodeJS.ProcessEnv = {}, ways: readonly FetchWay[] = []) {
      const path = [join(folder, "empty"), join(folder, "bin")].join(delimiter);
      const own = { PATH: path, HOME: folder, CONTRAIL_CACHE_DIR: join(folder, "cache") };
      return findServer({ env: { ...own, ...env }, ways, report: (line) => lines.push(line) });
    },
  };
}

/** A way of fetching that makes a server of this version, or fails with this reason. */
function way(title: string, outcome: { version: string } | { reason: string }): FetchWay {
  return {
    title,
    async fetch({ folder }) {
      if ("reason" in outcome) throw new ServerFetchError(outcome.reason);
      return writeServer(join(folder, "some", "nats-server"), outcome.version);
    },
  };
}

test("the server that CONTRAIL_NATS_SERVER names comes before one on the PATH", async (t) => {
  const places = makePlaces(t);
  writeServer(places.given, "2.14.9");
  writeServer(places.onPath, "2.15.1");
  const found = await places.find({ CONTRAIL_NATS_SERVER: places.given });
  t.deepEqual(found, { binary: places.given, version: "2.14.9" });
  t.deepEqual(places.lines, [
    `nats-server: CONTRAIL_NATS_SERVER: version 2.14.9 at ${places.given}`,
  ]);
});

for (const [what, write, reason] of [
  ["does not exist", () => {}, "does not exist"],
  ["is another program", (file: string) => writeScript(file, "echo hello"), "does not answer"],
  ["fails", (file: string) => writeScript(file, "echo broken >&2", "exit 3"), "broken"],
  [
    "is too old",
    (file: string) => writeServer(file, "2.14.4"),
    "is version 2.14.4: 2.14.5 or newer is needed",
  ],
] as const) {
  test(`a CONTRAIL_NATS_SERVER that ${what} is an error even with one on the PATH`, async (t) => {
    const places = makePlaces(t);
    write(places.given);
    writeServer(places.onPath, "2.15.1");
    const error = await t.throwsAsync(places.find({ CONTRAIL_NATS_SERVER: places.given }), {
      instanceOf: ServerNotFoundError,
      code: "server-not-found",
    });
    t.true(error?.message.startsWith(`CONTRAIL_NATS_SERVER names ${places.given}, which `));
    t.true(error?.message.includes(reason), error?.message);
  });
}

test("a server on the PATH comes before one in the cache", async (t) => {
  const places = makePlaces(t);
  writeServer(places.onPath, "2.14.5");
  writeServer(places.cached("2.15.1"), "2.15.1");
  const found = await places.find();
  t.deepEqual(found, { binary: places.onPath, version: "2.14.5" });
});

test("a server on the PATH that is too old is passed over and named", async (t) => {
  const places = makePlaces(t);
  writeServer(places.onPath, "2.10.27");
  writeServer(places.cached("2.15.1"), "2.15.1");
  const found = await places.find();
  t.is(found.binary, places.cached("2.15.1"));
  t.deepEqual(places.lines, [
    `nats-server: PATH: ${places.onPath} is version 2.10.27: 2.14.5 or newer is needed`,
    `nats-server: cache: version 2.15.1 at ${places.cached("2.15.1")}`,
  ]);
});

test("the newest version in the cache is taken, compared by number", async (t) => {
  const places = makePlaces(t);
  for (const version of ["2.15.9", "2.15.10", "2.14.11"]) {
    writeServer(places.cached(version), version);
  }
  t.is((await places.find()).version, "2.15.10");
});

test("a cached file that cannot be run is passed over", async (t) => {
  const places = makePlaces(t);
  writeScript(places.cached("2.16.0"), "exit 1");
  writeServer(places.cached("2.15.1"), "2.15.1");
  t.is((await places.find()).version, "2.15.1");
});

test("what is fetched is kept in the cache and found there the next time", async (t) => {
  const places = makePlaces(t);
  const ways = [
    way("first way", { reason: "no network" }),
    way("second way", { version: "2.15.1" }),
    way("third way", { version: "2.99.0" }),
  ];
  const fetched = await places.find({}, ways);
  t.deepEqual(fetched, { binary: places.cached("2.15.1"), version: "2.15.1" });
  t.deepEqual(places.lines, [
    "nats-server: PATH: no nats-server",
    `nats-server: cache: nothing in ${places.cacheFolder}`,
    "nats-server: first way: no network",
    `nats-server: second way: version 2.15.1, now at ${places.cached("2.15.1")}`,
  ]);
  t.deepEqual(readdirSync(join(places.cacheFolder, "nats-server")), ["2.15.1"]);
  t.deepEqual(await places.find(), fetched);
});

test("a fetched server that is too old or broken never enters the cache", async (t) => {
  const places = makePlaces(t);
  const broken: FetchWay = { title: "broken way", fetch: async ({ folder }) => folder };
  const ways = [way("old way", { version: "2.12.0" }), broken];
  const error = await t.throwsAsync(places.find({}, ways), { code: "server-not-found" });
  t.regex(error?.message ?? "", /old way: what was fetched is version 2\.12\.0/);
  t.regex(error?.message ?? "", /broken way: what was fetched cannot be run/);
  t.deepEqual(readdirSync(join(places.cacheFolder, "nats-server")), []);
});

test("searches that fetch at the same time all get a whole server", async (t) => {
  const places = makePlaces(t);
  const ways = [way("a way", { version: "2.15.1" })];
  const found = await Promise.all(Array.from({ length: 8 }, () => places.find({}, ways)));
  t.deepEqual(new Set(found.map(({ binary }) => binary)), new Set([places.cached("2.15.1")]));
  t.deepEqual(readdirSync(join(places.cacheFolder, "nats-server")), ["2.15.1"]);
});

test("when nothing helps, one error lists every try and the ways out", async (t) => {
  const places = makePlaces(t);
  const ways = [way("first way", { reason: "no network" }), way("second way", { reason: "no Go" })];
  const error = await t.throwsAsync(places.find({}, ways), { instanceOf: ServerNotFoundError });
  t.is(
    error?.message,
    [
      "No nats-server 2.14.5 or newer was found, and none could be fetched:",
      "  - PATH: no nats-server",
      `  - cache: nothing in ${places.cacheFolder}`,
      "  - first way: no network",
      "  - second way: no Go",
      "Any one of these helps:",
      "  - install nats-server so that it is on the PATH;",
      "  - set CONTRAIL_NATS_SERVER to the path of a nats-server executable;",
      "  - set NATS_URL to a NATS server with JetStream that already runs.",
    ].join("\n"),
  );
  t.is(error?.name, "ServerNotFoundError");
  t.false(error?.retryable);
});

test("a cache that cannot be written is a reason, and not a crash", async (t) => {
  const places = makePlaces(t);
  const file = writeScript(places.given);
  const search = places.find({ CONTRAIL_CACHE_DIR: file }, [way("a way", { version: "2.15.1" })]);
  const error = await t.throwsAsync(search, { code: "server-not-found" });
  t.regex(error?.message ?? "", /a way: .*(ENOTDIR|EEXIST)/);
  t.true(existsSync(file));
});
