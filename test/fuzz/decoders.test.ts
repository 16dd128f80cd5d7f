import test from "ava";
import { readProject } from "../tidy/source-file.ts";
import { targets } from "./targets/all.ts";

/** What reads bytes or texts and has no target, with the reason. */
const EXEMPT: { readonly [place: string]: string } = {
  "engine/cli/dev-state.ts JSON.parse":
    "a file of the user's own folder; what is none counts as none",
  "engine/cli/commands/export.ts JSON.parse": "reads what it wrote a line before",
  "worker/loop-watchdog.ts JSON.parse": "reads what an expression of its own has written",
  "shared/memory/jetstream-api.ts JSON.parse": "a server for tests: only our adapters talk to it",
  "shared/memory/memory-server.ts JSON.parse": "a server for tests: only our adapters talk to it",
  "shared/memory/pull-consumer.ts JSON.parse": "a server for tests: only our adapters talk to it",
  "shared/memory/pull-requests.ts JSON.parse": "a server for tests: only our adapters talk to it",
};

const sources = readProject(".").filter(({ path }) =>
  /^(shared|engine|worker|testing)\//.test(path),
);
const covered = new Set(targets.flatMap(({ covers }) => covers));
const coveredFiles = new Set([...covered].map((place) => place.split(" ")[0]));

test("every export that decodes or parses has a target", (t) => {
  const found = sources.flatMap(({ path, code }) =>
    [...code.matchAll(/^export (?:async )?function ((?:decode|parse)[A-Z]?\w*)\b/gm)].map(
      ([, name]) => `${path} ${name}`,
    ),
  );
  t.true(found.length > 15, "the search finds them");
  const missing = found.filter((place) => !covered.has(place) && !(place in EXEMPT));
  t.deepEqual(missing, [], "write a target, or say in EXEMPT why none is needed");
});

test("every file that reads JSON has a target", (t) => {
  const found = sources.filter(({ code }) => /\bJSON\.parse\(|\.json\(\)/.test(code));
  t.true(found.length > 10, "the search finds them");
  const missing = found
    .filter(({ path }) => !coveredFiles.has(path) && !(`${path} JSON.parse` in EXEMPT))
    .map(({ path }) => path);
  t.deepEqual(missing, [], "write a target, or say in EXEMPT why none is needed");
});

test("whatever a target covers is there, and so is what is exempt", (t) => {
  for (const place of [...covered, ...Object.keys(EXEMPT)]) {
    const [path = "", name = ""] = place.split(" ");
    const code = sources.find((source) => source.path === path)?.code ?? "";
    t.regex(code, new RegExp(`\\b${name.replace(".", "\\.")}\\b[^;]`), place);
  }
  const names = targets.map(({ name }) => name);
  t.is(new Set(names).size, names.length, "two targets have one name");
});
