import test from "ava";
import fc from "fast-check";
import { PendingWait } from "../../engine/conditions.ts";
import { EventIndex, type Watcher } from "../../engine/event-index.ts";
import { NameTree } from "../../engine/name-tree.ts";
import { EventMessage, RecentEvents } from "../../engine/recent-events.ts";
import { WaitIndex } from "../../engine/wait-index.ts";
import { childId } from "../../shared/child-ids.ts";
import type { LeafCondition } from "../../shared/entries.ts";
import { matchesName } from "../../shared/event-names.ts";
import { compileFilter, type Filter } from "../../shared/filters.ts";
import type { WatchedLeaf } from "../../shared/messages.ts";
import { Names } from "../../shared/subjects.ts";

const names = new Names("ns", 3);

const token = fc.constantFrom("a", "b", "c");
const eventName = fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join("."));
const pattern = fc.oneof(
  eventName,
  fc
    .tuple(
      fc.array(fc.oneof(token, fc.constant("*")), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
    )
    .map(([tokens, isOpen]) => [...tokens, ...(isOpen ? [">"] : [])].join(".")),
);
const value = fc.constantFrom(1, 2, "x", "y", true);
const filter: fc.Arbitrary<Filter | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({ id: value }),
  fc.record({ id: value, kind: value }),
  fc.record({ kind: fc.record({ $in: fc.array(value, { minLength: 1, maxLength: 2 }) }) }),
  fc.record({ "deep.id": value }),
);
const payload = fc.oneof(
  fc.constant(null),
  value,
  fc.record(
    { id: fc.oneof(value, fc.array(value)), kind: value, deep: fc.record({ id: value }) },
    { requiredKeys: [] },
  ),
);

const matches = (watcher: Watcher, event: { name: string; sequence: number; payload: unknown }) =>
  event.sequence > watcher.after &&
  matchesName(watcher.name, event.name) &&
  compileFilter(watcher.where)(event.payload);

function message(sequence: number, name: string, data: unknown): EventMessage {
  const bytes = Buffer.from(JSON.stringify(data));
  return new EventMessage({ sequence, name, data: bytes, contentType: "" });
}

test("a tree of names finds what comparing with each would find", (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(pattern), fc.uniqueArray(eventName), (patterns, all) => {
      const byPattern = new NameTree<string>();
      const byName = new NameTree<string>();
      for (const key of [...patterns, ...patterns]) byPattern.set(key, key);
      for (const key of all) byName.set(key, key);
      for (const name of all)
        t.deepEqual(
          byPattern.covering(name).sort(),
          patterns.filter((key) => matchesName(key, name)).sort(),
        );
      for (const key of patterns)
        t.deepEqual(
          byName.covered(key).sort(),
          all.filter((name) => matchesName(key, name)).sort(),
        );
      const half = patterns.slice(0, patterns.length / 2);
      for (const key of half) byPattern.delete(key);
      t.is(byPattern.size, patterns.length - half.length);
      for (const key of patterns) t.is(byPattern.get(key), half.includes(key) ? undefined : key);
    }),
  );
});

test("an event whose name has wildcards in it is found once, and in no more time than another", (t) => {
  const tree = new NameTree<string>();
  const stars = Array.from({ length: 60 }, () => "*").join(".");
  for (const key of [stars, "a.*", "a.>", ">"]) tree.set(key, key);
  t.deepEqual(
    tree.covering(stars).sort(),
    ["*", ">"].map((key) => (key === "*" ? stars : key)),
  );
  t.deepEqual(tree.covering("a.*").sort(), ["a.*", "a.>", ">"].sort());
  t.deepEqual(tree.covering("a.>").sort(), ["a.*", "a.>", ">"].sort());
});

test("the index of events finds exactly those whom an event matches", (t) => {
  const watcher = fc.record({
    name: pattern,
    where: filter,
    after: fc.integer({ max: 20, min: 0 }),
  });
  const event = fc.record({ name: eventName, payload, sequence: fc.integer({ max: 20, min: 1 }) });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(watcher, fc.boolean()), { maxLength: 40 }),
      fc.array(event, { maxLength: 10 }),
      (watchers, events) => {
        const index = new EventIndex<Watcher>();
        for (const [each] of watchers) index.add(each);
        for (const [each, isRemoved] of watchers) if (isRemoved) index.delete(each);
        const left = watchers.flatMap(([each, isRemoved]) => (isRemoved ? [] : [each]));
        t.is(index.size, left.length);
        for (const each of events) {
          const found: Watcher[] = [];
          index.match(each, (one) => found.push(one));
          t.is(found.length, new Set(found).size);
          t.deepEqual(
            left.filter((one) => found.includes(one)),
            left.filter((one) => matches(one, each)),
          );
        }
        for (const each of left) index.delete(each);
        t.is(index.size, 0);
      },
    ),
  );
});

test("recent events are found as by looking through all of them", (t) => {
  const events = fc.array(fc.record({ name: eventName, payload }), { maxLength: 60 });
  const query = fc.record({
    name: pattern,
    where: filter,
    after: fc.integer({ min: 0, max: 60 }),
    to: fc.integer({ min: 0, max: 70 }),
    limit: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(events, fc.array(query), fc.integer({ min: 1, max: 70 }), (all, queries, kept) => {
      const recent = new RecentEvents(1, { events: kept, bytes: 10_000_000 });
      const stored = all.map((each, i) => ({ ...each, sequence: 2 * i + 1 }));
      stored.forEach((each, i) => {
        recent.add(message(each.sequence, each.name, each.payload));
        // Asking early makes it keep lists by value from now on.
        const early = queries[i];
        if (early) recent.find(early);
      });
      t.true(recent.size <= kept);
      t.is(recent.lastSequence, stored.at(-1)?.sequence ?? 0);
      const held = stored.filter(({ sequence }) => sequence >= recent.firstSequence);
      t.is(held.length, recent.size);
      for (const each of queries)
        t.deepEqual(
          recent.find(each),
          held
            .filter((one) => matches(each, one) && one.sequence <= each.to)
            .map(({ sequence }) => sequence)
            .slice(0, each.limit),
        );
    }),
  );
});

test("recent events are bounded in bytes", (t) => {
  const recent = new RecentEvents(1, { events: 1_000, bytes: 100 });
  for (let i = 1; i <= 50; i++) recent.add(message(i, "a", "x".repeat(28)));
  t.is(recent.size, 3);
  t.is(recent.firstSequence, 48);
});

/** What rule 21 says, leaf by leaf: the lowest event that fits and that no earlier leaf took. */
function oracle(
  leaves: readonly WatchedLeaf[],
  consumed: readonly number[],
  events: readonly { name: string; sequence: number; payload: unknown }[],
): [string, number, number][] {
  const taken = new Set(consumed);
  return leaves.flatMap(({ key, leaf, condition }): [string, number, number][] => {
    if (condition.kind !== "event") return [];
    const { name, after } = condition;
    const where = condition.where as Filter | undefined;
    const found = events.find(
      (each) => !taken.has(each.sequence) && matches({ name, after, where }, each),
    );
    if (!found) return [];
    taken.add(found.sequence);
    return [[key, leaf, found.sequence]];
  });
}

const run = { taskName: "t", runId: "r" };

function pending(leaves: readonly WatchedLeaf[], consumed: readonly number[] = []): PendingWait {
  return new PendingWait(names, run, {
    sequence: 5,
    registration: {
      waitSequence: 4,
      startSequence: 1,
      isChild: false,
      leaves,
      consumed,
      passMs: 1,
    },
  });
}

test("each leaf gets the lowest event that no leaf before it takes, however the events come", (t) => {
  const leaf = fc.record({ name: pattern, where: filter, after: fc.integer({ min: 0, max: 15 }) });
  const scenario = fc.record({
    leaves: fc.array(leaf, { minLength: 1, maxLength: 8 }),
    events: fc.array(fc.record({ name: eventName, payload }), { maxLength: 30 }),
    consumed: fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 10 }),
    lookedBackTo: fc.integer({ min: 0, max: 30 }),
    isRegisteredTwice: fc.boolean(),
  });
  fc.assert(
    fc.property(scenario, ({ leaves, events, consumed, lookedBackTo, isRegisteredTwice }) => {
      const watched = leaves.map(
        ({ name, where, after }, i): WatchedLeaf => ({
          key: `w${i}`,
          leaf: 0,
          condition: { kind: "event", name, after, ...(where ? { where } : {}) },
        }),
      );
      const stored = events.map((each, i) => ({ ...each, sequence: i + 1 }));
      const index = new WaitIndex();
      const recent = new RecentEvents(1, { events: 100, bytes: 1e6 });
      const register = (): PendingWait => {
        const wait = pending(watched, consumed);
        const earlier = index.get(wait.prefix);
        if (earlier) {
          index.remove(earlier);
          for (const group of earlier.events) group.close(recent.lastSequence);
          wait.learnFrom(earlier);
        }
        for (const group of wait.events) group.beginLookBack();
        index.add(wait);
        return wait;
      };
      const lookBack = (wait: PendingWait, to: number): void => {
        for (const group of wait.events) {
          const { name, where, knownTo: after } = group;
          const limit = group.limit + consumed.length;
          group.endLookBack(recent.find({ name, where, after, to, limit }), to);
        }
      };
      let wait: PendingWait | undefined;
      let from = 0;
      for (const each of stored) {
        if (each.sequence > lookedBackTo && !wait) {
          wait = register();
          from = recent.lastSequence;
        }
        const offered = message(each.sequence, each.name, each.payload);
        recent.add(offered);
        index.offerEvent(offered, () => {});
      }
      if (!wait) {
        wait = register();
        from = recent.lastSequence;
      }
      lookBack(wait, from);
      if (isRegisteredTwice) {
        wait = register();
        lookBack(wait, recent.lastSequence);
      }
      t.deepEqual(wait.because().events ?? [], oracle(watched, consumed, stored));
    }),
    { numRuns: 500 },
  );
});

test("what a run's waits have learned passes no event over, however many leaves the next one has", (t) => {
  const leaf = fc.record({ name: fc.constantFrom("a", "b", "*"), after: fc.constant(0) });
  const rounds = fc.array(fc.array(leaf, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
  const stored = fc.array(fc.record({ name: fc.constantFrom("a", "b"), payload }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(rounds, stored, (waits, given) => {
      const events = given.map((each, i) => ({ ...each, sequence: i + 1 }));
      const recent = new RecentEvents(1, { events: 100, bytes: 1e6 });
      for (const each of events) recent.add(message(each.sequence, each.name, each.payload));
      const consumed: number[] = [];
      let earlier: PendingWait | undefined;
      for (const leaves of waits) {
        const watched = leaves.map(({ name, after }, i): WatchedLeaf => {
          return { key: `w${i}`, leaf: 0, condition: { kind: "event", name, after } };
        });
        const wait = pending(watched, consumed);
        if (earlier) wait.learnFrom(earlier);
        for (const group of wait.events) {
          group.beginLookBack();
          const { name, where, knownTo: after } = group;
          const limit = group.limit + consumed.length;
          const to = recent.lastSequence;
          group.endLookBack(recent.find({ name, where, after, to, limit }), to);
        }
        const because = wait.because().events ?? [];
        t.deepEqual(because, oracle(watched, consumed, events));
        consumed.push(...because.map(([, , sequence]) => sequence));
        earlier = wait;
      }
    }),
    { numRuns: 500 },
  );
});

test("a group of children knows who is missing, whatever was recorded", (t) => {
  const ranges = fc.array(fc.tuple(fc.nat(20), fc.nat(4)), { maxLength: 4 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.nat(5),
      ranges,
      fc.array(fc.nat(30)),
      (count, first, recorded, ends) => {
        const condition: LeafCondition = { kind: "children", taskName: "kid", first, count };
        const wait = pending([
          {
            key: "w",
            leaf: 0,
            condition,
            recorded: recorded.map(([from, length]) => [from, from + length]),
          },
        ]);
        const index = new WaitIndex();
        index.add(wait);
        const group = wait.groups[0];
        const done = new Set<number>();
        for (const [from, length] of recorded)
          for (let i = from; i <= from + length; i++) if (i < count) done.add(i);
        const unrecorded = Array.from({ length: count }, (_, i) => i).filter((i) => !done.has(i));
        t.deepEqual([...(group?.unrecorded() ?? [])], unrecorded);
        for (const ordinal of ends) {
          const runId = childId(wait.childPrefix, ordinal);
          index.endChild(names.run({ taskName: "kid", runId }).prefix, () => {});
          index.endChild(names.run({ taskName: "other", runId }).prefix, () => {});
          const position = ordinal - first;
          if (position >= 0 && position < count) done.add(position);
        }
        t.is(group?.missing, count - done.size);
        t.deepEqual(
          wait.because().children,
          done.size === count ? [["w", 0, unrecorded]] : undefined,
        );
      },
    ),
  );
});

test("a run's newer registration replaces the older one everywhere", (t) => {
  const index = new WaitIndex();
  const child: LeafCondition = { kind: "child", taskName: "kid", runId: "k" };
  const leaves: WatchedLeaf[] = [
    { key: "a", leaf: 0, condition: { kind: "event", name: "e", after: 0 } },
    { key: "b", leaf: 0, condition: child },
    { key: "c", leaf: 0, condition: { kind: "children", taskName: "kid", first: 0, count: 1 } },
  ];
  const older = pending(leaves);
  const newer = pending(leaves);
  index.add(older);
  index.add(newer);
  const touched: PendingWait[] = [];
  index.offerEvent(message(9, "e", null), (wait) => touched.push(wait));
  index.endChild(names.run(child).prefix, (wait) => touched.push(wait));
  const derived = { taskName: "kid", runId: childId(newer.childPrefix, 0) };
  index.endChild(names.run(derived).prefix, (wait) => touched.push(wait));
  t.deepEqual(touched, [newer, newer, newer]);
  index.remove(older);
  t.is(index.size, 1);
  index.remove(newer);
  t.is(index.size, 0);
  index.offerEvent(message(10, "e", null), () => t.fail());
  index.endChild(names.run(child).prefix, () => t.fail());
});

test("a token stays small when very much has happened at once", (t) => {
  const key = "w0 ".padEnd(128, "x");
  const leaves = Array.from(
    { length: 20_000 },
    (_, i): WatchedLeaf => ({
      key,
      leaf: i,
      condition: { kind: "child", taskName: "kid", runId: `k${i}` },
    }),
  );
  const wait = pending(leaves);
  for (const child of wait.singles) wait.endSingle(child);
  const { children } = wait.because();
  t.true((children?.length ?? 0) > 1_000);
  t.true(JSON.stringify(children).length < 300_000);
});

test("two thousand waits with different values cost one filter call an event", (t) => {
  const index = new WaitIndex();
  for (let i = 0; i < 2_000; i++) {
    const where = { kind: "paid", order: { id: `o${i}` } };
    const condition: LeafCondition = { kind: "event", name: "order.paid", where, after: 0 };
    index.add(
      new PendingWait(
        names,
        { taskName: "t", runId: `r${i}` },
        {
          sequence: i,
          registration: {
            waitSequence: 1,
            startSequence: 1,
            isChild: false,
            leaves: [{ key: "w", leaf: 0, condition }],
            consumed: [],
            passMs: 1,
          },
        },
      ),
    );
  }
  const beganAt = performance.now();
  let found = 0;
  for (let i = 0; i < 2_000; i++) {
    const payload = { kind: "paid", order: { id: `o${i}` } };
    index.offerEvent(message(i + 1, "order.paid", payload), () => found++);
  }
  t.log(`2,000 events against 2,000 waits in ${Math.round(performance.now() - beganAt)} ms`);
  t.is(found, 2_000);
});
