/** The test kit finds a worker that breaks the promise it is there for. In a process of its own. */
import test from "ava";
import { durableTask } from "../../shared/task.ts";
import { crashEverywhere, TestKitError } from "../../testing/index.ts";
import { ReplayCursor } from "../../worker/replay-cursor.ts";

test("a finished step that is executed again after a crash is told, with the place", async (t) => {
  const two = durableTask({
    name: "two",
    run: async (_: undefined, ctx) => {
      await ctx.step("a", () => 1);
      await ctx.step("b", () => 2);
    },
  });
  const { isRecorded } = ReplayCursor.prototype;
  ReplayCursor.prototype.isRecorded = function (key) {
    return isRecorded.call(this, key) && !key.startsWith("s"); // forgets what it has executed
  };
  await t.throwsAsync(
    crashEverywhere({ tasks: [two] }, (kit) => kit.run(two)),
    { instanceOf: TestKitError, message: /^Step "a" of run "run-1" was executed again after/ },
  );
});
