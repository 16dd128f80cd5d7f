/** Who may import whom. */
import type { HouseRule, Offense, Sample } from "./rule.ts";
import type { Import, SourceFile } from "./source-file.ts";

/** What users import; other folders come in through these alone. */
const ENTRIES = new Set([
  "shared/index.ts",
  "shared/task.ts",
  "worker/index.ts",
  "engine/index.ts",
  "engine/server/index.ts",
  "testing/index.ts",
]);

/** Judges what chaos runs leave behind. */
const JUDGE = "test/chaos/check/";
const JUDGE_WIRE = `${JUDGE}wire.ts`;

/** The packages the pure model may use. */
const MODEL_PACKAGES = new Set(["temporal-polyfill"]);
/** Pure functions and types of packages, each for the one file whose matter it is. */
const MODEL_EXCEPTIONS = new Set([
  "shared/filter-query.ts sift",
  "shared/schema.ts @standard-schema/spec",
  "shared/subjects.ts node:crypto",
]);

/** A judgment on one import of one file: why it is not allowed. */
type Judge = (from: string, imported: Import) => string | undefined;

const file = (path: string, ...imports: readonly string[]): Sample => ({
  path,
  text: imports.map((specifier) => `import { a } from "${specifier}";\n`).join(""),
});

const top = (path: string): string => path.split("/")[0] ?? "";

function importRule(
  rule: Pick<HouseRule, "title" | "bad" | "good"> & { readonly judge: Judge },
): HouseRule {
  const { title, bad, good, judge } = rule;
  const check = (files: readonly SourceFile[]): Offense[] =>
    files.flatMap(({ path, imports }) =>
      imports.flatMap((imported) => {
        const message = judge(path, imported);
        if (message === undefined) return [];
        return [{ path, line: imported.line, message: `${imported.specifier}: ${message}` }];
      }),
    );
  return { title, bad, good, check };
}

/** The rules about imports. `modelFiles` are the pure ones, those with a coverage gate. */
export function importRules(modelFiles: readonly string[]): readonly HouseRule[] {
  return [
    importRule({
      title:
        "shared imports no other folder, engine and worker never each other, and testing is for tests",
      bad: [
        file("shared/client.ts", "../engine/index.ts"),
        file("engine/waits.ts", "../worker/slots.ts"),
        file("worker/pass.ts", "../engine/server/index.ts"),
        file("worker/pass.ts", "../testing/kit.ts"),
        file("engine/cli/main.ts", "../../testing/index.ts"),
      ],
      good: [
        file("engine/waits.ts", "../shared/task.ts", "./events.ts"),
        file("worker/jobs/pass.ts", "../../shared/codec.ts"),
        file("engine/cli/main.ts", "../../worker/index.ts"),
        // The test kit is a whole world in one process, so it needs both sides.
        file("testing/kit.ts", "../worker/worker.ts", "../engine/engine.ts"),
      ],
      judge(from, { target }) {
        if (target === undefined) return undefined;
        const [side, other] = [top(from), top(target)];
        if (other === "testing" && side !== "testing" && side !== "test")
          return "the test kit is no part of what it tests: move what is needed to its side";
        if (from.startsWith("engine/cli/")) return undefined;
        const allowed: Record<string, readonly string[]> = {
          shared: ["shared"],
          engine: ["shared", "engine"],
          worker: ["shared", "worker"],
        };
        if (!allowed[side] || allowed[side].includes(other)) return undefined;
        return `${side}/ may import ${allowed[side].join("/ and ")}/ only: move what both need to shared/`;
      },
    }),
    importRule({
      title: "the command line, HTTP, benchmarks, examples and end-to-end tests use entry files",
      bad: [
        file("engine/cli/commands/show.ts", "../../../shared/codec.ts"),
        file("bench/scenarios/sleep.ts", "../../worker/slots.ts"),
        file("test/e2e/kill.test.ts", "../../engine/waits.ts"),
        file("examples/hello/main.ts", "../../worker/worker.ts"),
      ],
      good: [
        file("engine/cli/commands/show.ts", "../table.ts", "../../../shared/index.ts"),
        file("test/e2e/kill.test.ts", "../helpers/until.ts", "../../worker/index.ts"),
        file("examples/hello/main.ts", "./tasks.ts", "contrail/task"),
      ],
      judge(from, { target }) {
        const outside = ["engine/cli/", "engine/http/", "bench/", "examples/", "test/e2e/"];
        // What sets the scene may reach behind it; the tests themselves see what a user sees.
        if (from.startsWith("test/e2e/harness/")) return undefined;
        const own = outside.find((folder) => from.startsWith(folder));
        if (own === undefined || target === undefined) return undefined;
        const isOwn = target.startsWith(own.startsWith("test/") ? "test/" : own);
        if (isOwn || ENTRIES.has(target) || target === "package.json") return undefined;
        return `import an entry file as a user does: ${[...ENTRIES].join(", ")}`;
      },
    }),
    importRule({
      title: "nothing imports tests, benchmarks or examples",
      bad: [
        file("shared/client.ts", "../test/helpers/until.ts"),
        file("engine/cli/main.ts", "../../bench/report.ts"),
        file("bench/run.ts", "../test/helpers/until.ts"),
      ],
      good: [
        file("test/bench/report.test.ts", "../../bench/report.ts"),
        file("bench/run.ts", "./report.ts"),
      ],
      judge(from, { target }) {
        const side = top(target ?? "");
        if (!["test", "bench", "examples"].includes(side) || side === top(from)) return undefined;
        if (top(from) === "test") return undefined;
        return `${side}/ is the last to import: move what is needed to the side that owns it`;
      },
    }),
    importRule({
      title:
        "only shared/jetstream, its tests and the benchmarks' ceilings import the NATS packages",
      bad: [
        file("worker/claims.ts", "@nats-io/jetstream"),
        file("bench/scenarios/noop.ts", "@nats-io/transport-node"),
        file("engine/api.ts", "@nats-io/services"),
      ],
      good: [
        file("shared/jetstream/wire.ts", "@nats-io/transport-node"),
        file("bench/ceiling/raw-connection.ts", "@nats-io/transport-node"),
        file("test/shared/jetstream/headers.test.ts", "@nats-io/transport-node"),
      ],
      judge(from, { specifier }) {
        if (!/^@nats-io\/|^nats$/.test(specifier)) return undefined;
        if (/^(?:test\/)?shared\/jetstream\//.test(from)) return undefined;
        // A ceiling is what plain NATS can do, so it is written in plain NATS.
        if (from.startsWith("bench/ceiling/")) return undefined;
        return "use an adapter of shared/jetstream/, or write one there";
      },
    }),
    importRule({
      title: "only shared/codec.ts, and the judge of chaos runs, import cbor-x",
      bad: [file("engine/events.ts", "cbor-x")],
      good: [file("shared/codec.ts", "cbor-x"), file(JUDGE_WIRE, "cbor-x")],
      judge(from, { specifier }) {
        if (specifier !== "cbor-x" || from === "shared/codec.ts") return undefined;
        if (from === JUDGE_WIRE) return undefined; // reads for itself what it judges
        return "use encode and decode of shared/codec.ts: they know the format byte";
      },
    }),
    importRule({
      title: "the judge of chaos runs shares no code with what it judges",
      bad: [file(JUDGE_WIRE, "../../../shared/codec.ts"), file(JUDGE_WIRE, "../story.ts")],
      good: [file(JUDGE_WIRE, "./history.ts"), file(JUDGE_WIRE, "node:fs")],
      judge(from, { target }) {
        if (!from.startsWith(JUDGE) || target === undefined || target.startsWith(JUDGE))
          return undefined;
        return "write what it needs of this once more: an error in both would not be seen";
      },
    }),
    importRule({
      title: "the pure model imports no adapter and no package but temporal-polyfill",
      bad: modelFiles.flatMap((path) => [
        file(
          path,
          path.startsWith("shared/") ? "./jetstream/wire.ts" : "../shared/jetstream/wire.ts",
        ),
        file(path, "node:fs"),
        file(path, "chokidar"),
      ]),
      good: modelFiles.map((path) => file(path, "temporal-polyfill")),
      judge(from, { specifier, target }) {
        if (!modelFiles.includes(from)) return undefined;
        const isAllowed =
          MODEL_PACKAGES.has(specifier) || MODEL_EXCEPTIONS.has(`${from} ${specifier}`);
        if (target === undefined && isAllowed) return undefined;
        if (target !== undefined && !target.startsWith("shared/jetstream/")) return undefined;
        return "this file is pure (see c8.include in package.json): pass in what it needs";
      },
    }),
    noCycles,
  ];
}

const noCycles: HouseRule = {
  title: "imports have no cycle",
  bad: [
    file("shared/a.ts", "./b.ts"),
    file("shared/b.ts", "./c.ts"),
    file("shared/c.ts", "./a.ts"),
  ],
  good: [
    file("shared/a.ts", "./b.ts", "./c.ts"),
    file("shared/b.ts", "./c.ts"),
    file("shared/c.ts"),
  ],
  check(files) {
    const byPath = new Map(files.map((source) => [source.path, source]));
    const done = new Set<string>();
    const offenses: Offense[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const start = trail.indexOf(path);
      if (start !== -1) {
        const cycle = [...trail.slice(start), path].join(" -> ");
        offenses.push({ path, line: 1, message: `${cycle}: move what both need to a third file` });
      }
      if (done.has(path)) return;
      done.add(path);
      for (const { target } of byPath.get(path)?.imports ?? []) {
        if (target !== undefined) visit(target, [...trail, path]);
      }
    };
    for (const { path } of files) visit(path, []);
    return offenses;
  },
};
