/** What is said to somebody who uses the command wrongly: exit code 2, one line, what to do. */
import test, { type ExecutionContext } from "ava";
import { contrail, jsonLines } from "../../helpers/contrail.ts";
import { temporaryFolder } from "../../helpers/folders.ts";

/** Nobody listens there: who uses the command wrongly learns it before any server is asked. */
const NOBODY = "nats://127.0.0.1:1";

async function refused(
  t: ExecutionContext,
  args: readonly string[],
  expected: RegExp,
): Promise<void> {
  const { code, stdout, stderr } = await contrail(args, {
    cwd: temporaryFolder(t),
    server: NOBODY,
  });
  t.is(code, 2, `${args.join(" ")}: ${stderr}`);
  t.is(stdout, "");
  t.regex(stderr, /^error invalid-input: [^\n]+\n$/);
  t.regex(stderr, expected);
}

const MISUSES: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    "an unknown command",
    ["rnus"],
    /Unknown command 'rnus' \(Did you mean runs\?\) See "contrail --help"/,
  ],
  [
    "an unknown option",
    ["runs", "--stat", "x"],
    /Unknown option '--stat'.*See "contrail runs --help"/,
  ],
  [
    "the id of a run that begins like an option",
    ["show", "-MsuKKdSloe1fPwUvJr1tg-0"],
    /Unknown option '-MsuKKdSloe1fPwUvJr1tg-0'\. If -MsuKKdSloe1fPwUvJr1tg-0 is the id of a run, write -- before it\. See "contrail show --help"/,
  ],
  ["a missing argument", ["show"], /Missing required argument 'run'/],
  ["too many arguments", ["why", "a", "b"], /Too many arguments/],
  [
    "an unknown status",
    ["runs", "--status", "done"],
    /'done' is invalid.*queued, running, waiting/,
  ],
  ["a limit of zero", ["runs", "--limit", "0"], /from 1 to 1000000/],
  ["a limit that is no number", ["runs", "--limit", "many"], /from 1 to 1000000/],
  [
    "an input that is no JSON",
    ["start", "t", "--input", "{id:1}"],
    /input of task "t" is not JSON.*single quotes/,
  ],
  ["an input file that is not there", ["start", "t", "--input", "@no.json"], /the file "no\.json"/],
  ["a payload that is no JSON", ["publish", "a.b", "hello"], /payload of event "a\.b" is not JSON/],
  ["a worker without files", ["worker"], /Missing required argument 'files'/],
  ["a worker's file that is not there", ["worker", "no.js"], /There is no file "no\.js"/],
  ["a worker's file that is no code", ["worker", "."], /no JavaScript or TypeScript file/],
  ["negative slots", ["worker", "x.js", "--regular", "-1"], /from 0 to 100000/],
  ["a duration without a unit", ["worker", "x.js", "--drain", "10"], /has no unit/],
  ["two replicas", ["setup", "--replicas", "2"], /Allowed choices are 1, 3, 5/],
  ["too many shards", ["setup", "--shards", "65"], /from 1 to 64/],
  ["a port out of range", ["dev", "x.js", "--port", "70000"], /from 1 to 65535/],
  ["a file that dev cannot find", ["dev", "no.ts"], /There is no file "no\.ts"/],
  ["an empty server", ["runs", "--server", ""], /No servers were given/],
];

for (const [what, args, expected] of MISUSES)
  test(`a user learns of ${what}`, (t) => refused(t, args, expected));

test("a call without a command prints the help and fails", async (t) => {
  const { code, stdout, stderr } = await contrail([], { cwd: temporaryFolder(t) });
  t.is(code, 2);
  t.is(stdout, "");
  t.regex(stderr, /Usage: contrail COMMAND/);
});

test("wrong usage is one JSON object with --json", async (t) => {
  const { code, stderr } = await contrail(["runs", "--limit", "x", "--json"], {
    cwd: temporaryFolder(t),
  });
  t.is(code, 2);
  const [line, ...more] = jsonLines(stderr);
  t.is(more.length, 0);
  t.is(line?.["error"], "invalid-input");
  t.regex(String(line?.["message"]), /limit/);
});

test("help is printed for the program and every command, each with an example", async (t) => {
  const cwd = temporaryFolder(t);
  const { code, stdout } = await contrail(["--help"], { cwd });
  t.is(code, 0);
  const commands = [...stdout.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
  const all = ["dev", "engine", "worker", "start", "runs", "show", "why", "cancel", "publish"];
  for (const name of [...all, "slots", "setup", "doctor"]) t.true(commands.includes(name), name);
  for (const name of commands.filter((each) => each !== "help")) {
    const help = await contrail([name as string, "--help"], { cwd });
    t.is(help.code, 0);
    t.regex(help.stdout, /Example:\n {2}\$ contrail /);
    t.notRegex(help.stdout, /default: ""/);
    if (name === "worker") t.regex(help.stdout, /--drain [^(]*\(default:\s+10 s\)/);
    t.is(help.stderr, "");
  }
});

test("the version is the package's", async (t) => {
  const { code, stdout } = await contrail(["--version"], { cwd: temporaryFolder(t) });
  t.is(code, 0);
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("a server that does not answer is named, with what to do", async (t) => {
  const { code, stdout, stderr } = await contrail(["runs"], {
    cwd: temporaryFolder(t),
    server: NOBODY,
  });
  t.is(code, 1);
  t.is(stdout, "");
  t.regex(stderr, /^error unavailable: Cannot connect to nats:\/\/127\.0\.0\.1:1: .*NATS_URL.*\n$/);
});

test("a variable that is empty says nothing", async (t) => {
  const { stderr } = await contrail(["runs", "--server", NOBODY], {
    cwd: temporaryFolder(t),
    server: "",
    env: { CONTRAIL_NAMESPACE: "", NATS_USER: "", NATS_CREDS: "", NATS_CA: "" },
  });
  t.regex(stderr, /^error unavailable: Cannot connect to nats:\/\/127\.0\.0\.1:1: /);
});

test("--debug shows where an error comes from", async (t) => {
  const { stderr } = await contrail(["runs", "--debug"], {
    cwd: temporaryFolder(t),
    server: NOBODY,
  });
  t.regex(stderr, /^error unavailable: [^\n]+\nUnavailableError: .*\n {4}at .*caused by /s);
});
