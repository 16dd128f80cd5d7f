import { setImmediate } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import type { LeafCondition, LeafOutcome, StoredCondition } from "../../shared/entries.ts";
import { leavesOf, type RecordedLeaf, resolveWait } from "../../shared/waits.ts";

const error = (message: string) => ({ name: "Error", message });

/** An outcome of a leaf that tells it from all others. */
function outcomeOf(leaf: LeafCondition, index: number, isFailure: boolean): LeafOutcome {
  switch (leaf.kind) {
    case "sleep":
      return { kind: "sleep" };
    case "event":
      return { kind: "event", name: "e", data: index, sequence: index, publishedAt: index };
    default:
      return {
        kind: "child",
        taskName: "t",
        runId: `${index}`,
        outcome: isFailure
          ? { status: "failed", error: error(`${index}`) }
          : { status: "completed", output: index },
      };
  }
}

/** What a leaf alone results in, written out once more. */
function resultOf(outcome: LeafOutcome): unknown {
  if (outcome.kind !== "child" || outcome.outcome.status !== "completed") return { ...outcome };
  const { taskName, runId } = outcome;
  return { kind: "child", taskName, runId, output: outcome.outcome.output };
}

/** The oracle: the same condition built of promises, whose race and all decide. */
function promiseOf(condition: StoredCondition, leaves: Promise<unknown>[]): Promise<unknown> {
  if (!("of" in condition)) {
    const leaf = leaves.shift();
    if (!leaf) throw new Error("more leaves than outcomes");
    return leaf;
  }
  const parts = condition.of.map(([name, part]) => {
    const promise = promiseOf(part, leaves);
    promise.catch(() => {}); // the one of a part that lost is never looked at
    return [name, part, promise] as const;
  });
  if (condition.kind === "anyOf")
    return Promise.race(
      parts.map(async ([name, part, promise]) => ({
        ...("of" in part ? { kind: part.kind, value: await promise } : ((await promise) as object)),
        ...(typeof name === "string" ? { key: name } : { index: name }),
      })),
    );
  const isNamed = typeof parts[0]?.[0] === "string";
  return Promise.all(parts.map(([, , promise]) => promise)).then((values) =>
    isNamed
      ? Object.fromEntries(parts.map(([name], position) => [name, values[position]]))
      : values,
  );
}

/** A promise with its ends in our hands. */
function settler() {
  let resolve: (value: unknown) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<unknown>((...ends) => {
    [resolve, reject] = ends;
  });
  return { promise, resolve, reject };
}

const leaf: fc.Arbitrary<StoredCondition> = fc.constantFrom(
  { kind: "sleep", dueAt: 1 },
  { kind: "event", name: "e", after: 0 },
  { kind: "child", taskName: "t", runId: "r" },
  { kind: "child", taskName: "t", runId: "s" },
);
const { condition: conditions } = fc.letrec<{ condition: StoredCondition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc
      .tuple(
        fc.constantFrom("anyOf" as const, "allOf" as const),
        fc.boolean(),
        fc.array(tie("condition"), { minLength: 1, maxLength: 3 }),
      )
      .map(([kind, isNamed, parts]) => ({
        kind,
        of: parts.map((part, index) => [isNamed ? `part ${index}` : index, part] as const),
      })),
  ),
}));
const histories = conditions.chain((condition) => {
  const leaves = leavesOf(condition);
  const order = fc.shuffledSubarray([...leaves.keys()]);
  return fc.tuple(
    fc.constant(condition),
    order.chain((indexes) =>
      fc.tuple(...indexes.map((index) => fc.tuple(fc.constant(index), fc.nat(1)))),
    ),
  );
});

test("a wait settles as Promise.race and Promise.all over its parts do, at the same outcome", async (t) => {
  await fc.assert(
    fc.asyncProperty(histories, async ([condition, happened]) => {
      const leaves = leavesOf(condition);
      const settlers = leaves.map(() => settler());
      let settled: unknown;
      promiseOf(
        condition,
        settlers.map(({ promise }) => promise),
      ).then(
        (value) => {
          settled = { ok: true, value };
        },
        (reason: unknown) => {
          settled = { ok: false, error: reason, status: "failed" };
        },
      );
      const recorded = new Map<number, RecordedLeaf>();
      for (const [order, [index, chance]] of happened.entries()) {
        const outcome = outcomeOf(leaves[index] as LeafCondition, index, chance === 0);
        recorded.set(index, { outcome, order });
        if (outcome.kind === "child" && outcome.outcome.status === "failed")
          settlers[index]?.reject(outcome.outcome.error);
        else settlers[index]?.resolve(resultOf(outcome));
        await setImmediate();
        t.deepEqual<unknown, unknown>(resolveWait(condition, recorded), settled);
      }
    }),
    { numRuns: 500 },
  );
});

test("a wait that is settled stays as it is, whatever is recorded later and read in which order", (t) => {
  fc.assert(
    fc.property(histories, ([condition, happened]) => {
      const leaves = leavesOf(condition);
      const entries = happened.map(([index, chance], order): [number, RecordedLeaf] => [
        index,
        { outcome: outcomeOf(leaves[index] as LeafCondition, index, chance === 0), order },
      ]);
      const whole = JSON.stringify(resolveWait(condition, new Map(entries.toReversed())));
      for (let count = 0; count <= entries.length; count++) {
        const early = resolveWait(condition, new Map(entries.slice(0, count)));
        if (early !== undefined) return JSON.stringify(early) === whole;
      }
      return whole === undefined;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});
