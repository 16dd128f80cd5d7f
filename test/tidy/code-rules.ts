/** What must not stand in the code, and what to use instead. */
import { but, codeRule, type HouseRule, under } from "./rule.ts";

const sources = under("shared", "engine", "worker", "testing");
const tests = under("test");
const everything = (path: string): boolean => path.endsWith(".ts");

const file = (path: string, ...lines: readonly string[]) => ({ path, text: lines.join("\n") });

/** The rules about code. */
export const codeRules: readonly HouseRule[] = [
  codeRule({
    title: "randomness comes from shared/ids.ts",
    pattern: /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/,
    where: but(
      under("shared", "engine", "worker", "testing", "test"),
      under("shared/ids.ts", "engine/cli"),
    ),
    instead: "use newId, hashId or a seededRandom of shared/ids.ts, so that a run can be repeated",
    bad: [
      file("worker/pass.ts", "const id = Math.random();"),
      file("engine/waits.ts", `import { randomUUID } from "node:crypto";`),
    ],
    good: [
      file("shared/ids.ts", "randomBytes(16);"),
      file("worker/pass.ts", "// not Math.random()", 'say("Math.random()");'),
    ],
  }),
  codeRule({
    title: "time comes from the Clock",
    pattern:
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bTemporal\.Now\b|(?<!\.)\bset(?:Timeout|Interval)\b|\bglobalThis\.set|\bprocess\.hrtime\b/,
    where: but(sources, under("shared/clock.ts", "engine/cli", "engine/dashboard")),
    instead: "take a Clock of shared/clock.ts, so that tests can step time by hand",
    bad: [
      file("shared/client.ts", "const now = Date.now();"),
      file("worker/pass.ts", "setTimeout(() => {}, 10);"),
      file("engine/waits.ts", "const at = `$" + "{new Date()}`;"),
    ],
    good: [
      file("shared/clock.ts", "Date.now();"),
      file("engine/cli/main.ts", "setTimeout(tick, 10);"),
      file("shared/dates.ts", "const at = new Date(text);"),
      file("engine/server/probe.ts", "socket.setTimeout(10);"),
    ],
  }),
  codeRule({
    title: "a test waits for a condition, never for a time",
    pattern: /(?<!\.)\bsetTimeout\s*\(|\bawait sleep\(|\bAtomics\.wait\b/,
    // What the tasks of end-to-end tests do takes time, as work does, and chaos lasts for a time.
    where: but(
      tests,
      under("test/helpers", "test/tidy", "test/e2e/harness", "test/e2e/tasks", "test/chaos"),
    ),
    instead: "use until(condition) of test/helpers/until.ts, or the SteppingClock",
    bad: [file("test/worker/pass.test.ts", "await new Promise((r) => setTimeout(r, 100));")],
    good: [file("test/helpers/until.ts", "setTimeout(resolve, 10);")],
  }),
  codeRule({
    title: "no test waits with the timers of Node",
    pattern: /\b(?:setTimeout|setInterval|scheduler)\b[^;"]*"(?:node:)?timers\/promises"/,
    search: "text",
    where: but(everything, under("test/tidy", "bench", "examples")),
    instead: "use until(condition) in tests and the Clock elsewhere",
    bad: [file("test/a.test.ts", 'import { setTimeout as pause } from "node:timers/promises";')],
    good: [file("test/a.test.ts", 'import { setImmediate } from "node:timers/promises";')],
  }),
  codeRule({
    title: "only the command line, examples and benchmarks print",
    pattern: /\bconsole\.\w+/,
    where: but(everything, under("engine/cli", "examples", "bench")),
    instead: "use the logger passed in; in a test t.log",
    bad: [file("engine/engine.ts", 'console.log("here");')],
    good: [file("examples/hello/main.ts", 'console.log("hello");')],
  }),
  codeRule({
    title: "only the command line ends the process",
    pattern: /\bprocess\.exit\(/,
    where: but(sources, under("engine/cli")),
    instead: "throw an error of shared/errors.ts, or resolve, and let the caller end",
    bad: [file("worker/worker.ts", "process.exit(1);")],
    good: [file("engine/cli/main.ts", "process.exit(2);")],
  }),
  codeRule({
    title: "an error has a class with a code",
    pattern: /\bthrow new Error\(/,
    where: sources,
    instead: "throw a ContrailError of shared/errors.ts: its code is what programs go by",
    bad: [file("shared/codec.ts", 'throw new Error("no");')],
    good: [file("shared/codec.ts", 'throw new UndecodableError("no");')],
  }),
  codeRule({
    title: "no test is singled out",
    pattern: /\b(?:test|serial|describe|it)\.only\b/,
    where: tests,
    instead: "remove .only: the other tests of the file do not run",
    bad: [file("test/a.test.ts", 'test.only("one", (t) => t.pass());')],
    good: [file("test/a.test.ts", 'test("the only one", (t) => t.pass());')],
  }),
  codeRule({
    title: "what is left to do has an issue",
    // In parts, for otherwise this file would break its own rule.
    pattern: new RegExp(
      `\\b(?:${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b(?!\\(#\\d+\\))`,
    ),
    search: "comments",
    where: everything,
    instead: "write the number of its issue, as in TO" + "DO(#12), or do it now",
    bad: [file("shared/a.ts", "// TO" + "DO: later")],
    good: [file("shared/a.ts", "// TO" + "DO(#12): later")],
  }),
  codeRule({
    title: "no path of one machine",
    // The slashes in brackets keep this file from breaking its own rule.
    pattern: /(?<![\w.:/-])[/](?:work|root|tmp|home[/]\w+|Users[/]\w+)[/]/,
    search: "text",
    where: () => true,
    instead: "use a path from the root of the repository, or tmpdir() of node:os",
    bad: [
      file("README.md", ["Look into ", "root", "contrail"].join("/")),
      file("test/a.test.ts", `const file = "${["", "tmp", "a"].join("/")}";`),
    ],
    good: [
      file(
        "README.md",
        ["See .", "root", "contrail and https://example.org", "work", "a"].join("/"),
      ),
    ],
  }),
];
