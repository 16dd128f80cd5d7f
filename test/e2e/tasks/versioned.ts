/** Tasks whose code is another one in each process: the environment says which. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** Environment variable with the version of the code: a number. */
export const CODE_VARIABLE = "CONTRAIL_E2E_CODE";

const code = Number(process.env[CODE_VARIABLE] ?? 1);

/** Pinned: tells which version ended it. */
export const pinned: Task<number, number> = durableTask({
  name: "pinned",
  version: code,
  run: async (ms: number, ctx) => {
    await ctx.step(`begin ${code}`, () => effect(ctx.runId, "begin"));
    await ctx.sleepFor({ milliseconds: ms });
    return ctx.step(`end ${code}`, () => {
      effect(ctx.runId, "end");
      return code;
    });
  },
});

/** Pinned: from the second version on it also goes on with runs of the first. Waits twice. */
export const compatible: Task<null, number> = durableTask({
  name: "compatible",
  version: code,
  ...(code > 1 ? { compatibleWith: [1] } : {}),
  run: async (_: null, ctx) => {
    await ctx.step("begin", () => effect(ctx.runId, "begin", code));
    await ctx.waitForEvent("first");
    await ctx.step("middle", () => effect(ctx.runId, "middle", code));
    await ctx.waitForEvent("second");
    await ctx.step("end", () => effect(ctx.runId, "end", code));
    return code;
  },
});

/** Not pinned: in the second version another step comes first, unguarded; from the third on with a guard. */
export const changed: Task<number, number> = durableTask({
  name: "changed",
  run: async (ms: number, ctx) => {
    try {
      if (code === 2 || (code > 2 && ctx.changed("check first")))
        await ctx.step("check", () => effect(ctx.runId, "check"));
      await ctx.step("charge", () => effect(ctx.runId, "charge"));
      await ctx.sleepFor({ milliseconds: ms });
    } catch {
      effect(ctx.runId, "caught");
    }
    return code;
  },
});

/** The same change behind a guard. */
export const guarded: Task<number, string> = durableTask({
  name: "guarded",
  run: async (ms: number, ctx) => {
    const isNew = code > 1 && ctx.changed("check first");
    if (isNew) await ctx.step("check", () => effect(ctx.runId, "check"));
    await ctx.step("charge", () => effect(ctx.runId, "charge"));
    await ctx.sleepFor({ milliseconds: ms });
    return `${code} ${isNew}`;
  },
});

/** The first step says how it is undone, and has another name from the second version on. */
export const undoing: Task<number, void> = durableTask({
  name: "undoing",
  run: async (ms: number, ctx) => {
    await ctx.step(code > 1 ? "bill" : "charge", () => effect(ctx.runId, "charge"), {
      undo: () => effect(ctx.runId, "undo"),
    });
    try {
      await ctx.sleepFor({ milliseconds: ms });
      await ctx.sleepFor("1h");
    } finally {
      await ctx.step("clean up", () => effect(ctx.runId, "clean up"));
    }
  },
});
