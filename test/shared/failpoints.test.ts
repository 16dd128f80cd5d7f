import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import test from "ava";
import { failpointsFrom } from "../../shared/failpoints.ts";
import { temporaryFolder } from "../helpers/folders.ts";
import { isStopped } from "../helpers/process-state.ts";
import { until } from "../helpers/until.ts";

test("without rules no place does anything", (t) => {
  for (const text of [undefined, ""]) t.is(failpointsFrom(text)("before-claim"), undefined);
});

test("a place holds until its file exists, and only the first time", async (t) => {
  const file = join(temporaryFolder(t), "go");
  const failpoint = failpointsFrom(`before-claim=hold:${file}`);
  t.is(failpoint("after-claim"), undefined);
  let isHeld = true;
  const held = failpoint("before-claim")?.then(() => {
    isHeld = false;
  });
  await setImmediate();
  t.true(isHeld);
  t.is(failpoint("before-claim"), undefined);
  writeFileSync(`${file}.other`, "");
  await setImmediate();
  t.true(isHeld);
  writeFileSync(file, "");
  await held;
  t.false(isHeld);
});

test("a place whose file exists already holds nobody up for long", async (t) => {
  const file = join(temporaryFolder(t), "go");
  writeFileSync(file, "");
  await failpointsFrom(`here=hold:${file}`)("here");
  t.pass();
});

test("a rule with a number acts when the place is reached for that time", (t) => {
  const file = join(temporaryFolder(t), "go");
  writeFileSync(file, "");
  const failpoint = failpointsFrom(`here@3=hold:${file},there=hold:${file}`);
  t.deepEqual(
    [1, 2, 3, 4].map(() => failpoint("here") !== undefined),
    [false, false, true, false],
  );
  t.truthy(failpoint("there"));
});

test("two rules for one place each count how often it is reached", (t) => {
  const file = join(temporaryFolder(t), "go");
  writeFileSync(file, "");
  const failpoint = failpointsFrom(`here@1=hold:${file},here@2=hold:${file},here@4=hold:${file}`);
  t.deepEqual(
    [1, 2, 3, 4, 5].map(() => failpoint("here") !== undefined),
    [true, true, false, true, false],
  );
});

test("a rule that cannot be read does nothing", (t) => {
  for (const text of ["here", "here=", "here=dance", "here@x=kill", "here@0=kill", ",,", "=kill"])
    t.is(failpointsFrom(text)("here"), undefined, text);
});

test("a place kills its process, at once and whatever it does", (t) => {
  const module = new URL("../../shared/failpoints.js", import.meta.url).href;
  const script = `
    const { failpointsFrom } = await import(${JSON.stringify(module)});
    const failpoint = failpointsFrom("here@2=kill");
    failpoint("here");
    process.stdout.write("once");
    failpoint("here");
    process.stdout.write("twice");`;
  const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  t.is(signal, "SIGKILL");
  t.is(stdout.toString(), "once");
});

test("a place stops its process until somebody lets it go on", async (t) => {
  const module = new URL("../../shared/failpoints.js", import.meta.url).href;
  const script = `
    const { failpointsFrom } = await import(${JSON.stringify(module)});
    failpointsFrom("here=stop")("here");
    process.stdout.write("on");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  t.teardown(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await until(() => isStopped(child.pid as number), { what: "the process is stopped" });
  t.is(output, "");
  child.kill("SIGCONT");
  await until(() => output === "on");
  t.is(output, "on");
});
