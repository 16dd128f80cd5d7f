/** Durable runs that wait for nested conditions. Their results are narrowed by type, as users do. */
import {
  allOf,
  anyOf,
  child,
  durableTask,
  event,
  sleep,
  type Task,
  task,
} from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";
import { passGate } from "../harness/gates.ts";

/** The side effect that says that a replay saw another result. */
export const MISMATCH = "MISMATCH";

/** Ends when the gate of its name is open; fails if it is asked to. */
export const review: Task<{ gate: string; fails?: boolean }, string> = task({
  name: "review",
  run: async ({ gate, fails }: { gate: string; fails?: boolean }) => {
    await passGate(gate);
    if (fails) throw new Error("the reviewer resigned");
    return `reviewed ${gate}`;
  },
});

/** How an approval came about. */
export type Approval =
  | { readonly how: "event"; readonly manager: unknown; readonly legal: unknown }
  | { readonly how: "child"; readonly manager: unknown; readonly review: string }
  | { readonly how: "expired" };

/** What an approval waits for. */
export interface Asked {
  /** Prefix of its events, and name of the gate of its child. */
  readonly id: string;
  readonly expiresMs: number;
  /** Whether to sleep afterwards, so that another pass replays it all. */
  readonly isReplayed: boolean;
}

/** A manager and somebody of the lawyers, by an event or as a child run; or it expires. */
export const approval: Task<Asked, Approval> = durableTask({
  name: "approval",
  run: async ({ id, expiresMs, isReplayed }: Asked, ctx) => {
    const first = await ctx.waitFor(
      anyOf({
        approved: allOf({
          manager: event(`${id}.manager`),
          legal: anyOf(event(`${id}.legal.*`), child(review, { gate: id })),
        }),
        expired: sleep({ milliseconds: expiresMs }),
      }),
    );
    const seen = JSON.stringify(first);
    if (isReplayed) {
      await ctx.sleepFor("1500ms");
      const recorded = await ctx.step("seen", () => seen);
      await ctx.sleepFor("1500ms");
      if (recorded !== seen) effect(ctx.runId, MISMATCH, 1, { recorded, seen });
    }
    if (first.key === "expired") return { how: "expired" };
    const { manager, legal } = first.value;
    if (legal.index === 0) return { how: "event", manager: manager.data, legal: legal.data };
    return { how: "child", manager: manager.data, review: legal.output };
  },
});

/** All of a child, an event and a sleep; or the message of the child that failed. */
export const everything: Task<{ id: string; fails: boolean }, string> = durableTask({
  name: "everything",
  run: async ({ id, fails }: { id: string; fails: boolean }, ctx) => {
    try {
      const [reviewed, heard, slept] = await ctx.waitFor(
        allOf(
          child(review, { gate: id, fails }),
          event(`${id}.*`),
          sleep(fails ? "1 hour" : "1200ms"),
        ),
      );
      return [reviewed.output, heard.name, slept.kind].join(", ");
    } catch (error) {
      return (error as Error).message;
    }
  },
});

/** A sleep that wins over an event, which a second wait may still have. */
export const secondChance: Task<{ id: string }, string> = durableTask({
  name: "second-chance",
  run: async ({ id }: { id: string }, ctx) => {
    const first = await ctx.waitFor(anyOf(sleep("1200ms"), event(`${id}.come`)));
    const second = await ctx.waitFor(anyOf(sleep("1 hour"), event(`${id}.come`)));
    return `${first.kind}, ${second.kind}`;
  },
});

/** Waits for an event and, at the same time, for another one that may come too late. */
export const together: Task<{ id: string; limitMs: number }, string> = durableTask({
  name: "together",
  run: async ({ id, limitMs }: { id: string; limitMs: number }, ctx) => {
    const [, raced] = await Promise.all([
      ctx.waitForEvent(`${id}.any`),
      ctx.waitFor(anyOf(sleep({ milliseconds: limitMs }), event(`${id}.timely`))),
    ]);
    return raced.kind;
  },
});
