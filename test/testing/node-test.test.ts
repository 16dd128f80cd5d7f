/** The test kit under another runner than ava, by the example of its documentation. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import test from "ava";

const EXAMPLE = "examples/testing/remind";

test("the example of the documentation passes under node:test, without a server", async (t) => {
  const args = ["--test-reporter=tap", `dist/${EXAMPLE}.js`];
  const env = { ...process.env };
  delete env["NODE_OPTIONS"];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const output = await text(child.stdout);
  t.deepEqual(
    [(await ended)[0], output.match(/^# (?:pass|fail) .*$/gm)],
    [0, ["# pass 2", "# fail 0"]],
  );
});

test("the documentation of the test kit shows that example as it is", (t) => {
  const [, shown] = /^```ts\n(.*?)^```$/ms.exec(readFileSync("docs/testing.md", "utf8")) ?? [];
  t.is(shown, readFileSync(`${EXAMPLE}.ts`, "utf8"));
});
