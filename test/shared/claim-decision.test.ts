import test from "ava";
import fc from "fast-check";
import {
  decideToken,
  type ReadingFacts,
  type TokenAction,
  type TokenFacts,
} from "../../shared/claim-decision.ts";
import type { Entry, StoredCommit } from "../../shared/entries.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../../shared/limits.ts";
import { evolve, initialState, noteUnreadable, type RunState } from "../../shared/run-state.ts";

const START = 5;
const claimed: Entry = { kind: "claimed", worker: "w", because: "start" };
const takeover: Entry = { kind: "claimed", worker: "w", because: "takeover" };
const step: Entry = {
  kind: "step-completed",
  key: "s0 a",
  at: 0,
  attempts: 1,
  durationMs: 0,
  value: 1,
};
const waiting: Entry = { kind: "waiting" };
const paused: Entry = { kind: "paused", reason: "why", details: null };
const ended: Entry = { kind: "ended", outcome: { status: "completed", output: 1 } };

type CommitSpec = readonly [sequence: number, token: number, ...entries: Entry[]];

function stateAfter(...commits: CommitSpec[]): RunState {
  const state = initialState(START, 0);
  for (const [sequence, token, ...entries] of commits)
    evolve(state, { sequence, startSequence: START, pass: "w.1", token, time: 0, entries });
  return state;
}

const facts = (given: Partial<ReadingFacts> = {}): ReadingFacts => ({
  isFresh: false,
  isHeldHere: false,
  isSurelyFirst: false,
  ...given,
});

const decide = (
  token: TokenFacts,
  state: RunState,
  given: Partial<ReadingFacts> = {},
): TokenAction => decideToken(token, state, facts(given), TAKEOVERS_BEFORE_PAUSE);

const startToken = { sequence: START, answers: 0 };

test("an empty history: the start's first holder begins without a claim, any other claims", (t) => {
  const empty = stateAfter();
  t.is(decide(startToken, empty, { isSurelyFirst: true }), "begin");
  t.is(decide(startToken, empty), "claim");
  t.is(decide(startToken, empty, { isFresh: true }), "claim");
});

test("a history shorter than the waiting commit is read again, and drops the token when it is new enough", (t) => {
  const token = { sequence: 30, answers: 20 };
  for (const state of [
    stateAfter(),
    stateAfter([10, START, step]),
    stateAfter([10, START, waiting]),
  ]) {
    t.is(decide(token, state), "read-again");
    t.is(decide(token, state, { isFresh: true }), "drop");
  }
});

test("a token that answers a commit of an earlier incarnation claims nothing of a later one", (t) => {
  const later = initialState(60, 0);
  evolve(later, {
    sequence: 50,
    startSequence: START,
    pass: "w.1",
    token: START,
    time: 0,
    entries: [ended],
  });
  t.is(decide({ sequence: 40, answers: 30 }, later), "read-again");
  t.is(decide({ sequence: 40, answers: 30 }, later, { isFresh: true }), "drop");
});

test("an active run: its own token extends at its holder and takes over elsewhere", (t) => {
  const byStart = stateAfter([10, START, step]);
  t.is(decide(startToken, byStart, { isHeldHere: true }), "extend");
  t.is(decide(startToken, byStart), "take-over");
  const byReady = stateAfter([10, START, waiting], [20, 15, claimed, step]);
  t.is(decide({ sequence: 15, answers: 10 }, byReady, { isHeldHere: true }), "extend");
  t.is(decide({ sequence: 15, answers: 10 }, byReady), "take-over");
});

test("an active run: every other token is dropped, whatever it answers", (t) => {
  const active = stateAfter([10, START, waiting], [20, 15, claimed]);
  t.is(decide(startToken, active), "drop");
  t.is(decide({ sequence: 16, answers: 10 }, active), "drop");
  t.is(decide({ sequence: 16, answers: 10 }, active, { isHeldHere: true }), "drop");
});

test("an active run: a token that stands in for a lost one takes over directly behind the commit it names, and nowhere else", (t) => {
  const active = stateAfter([10, START, waiting], [20, 15, claimed]);
  const standIn = { sequence: 25, answers: 20, standsIn: true };
  t.is(decide(standIn, active), "take-over");
  t.is(decide({ ...standIn, standsIn: false }, active), "drop");
  t.is(decide(standIn, active, { isHeldOtherwise: true }), "leave");
  t.is(decide(standIn, stateAfter([10, START, waiting])), "read-again");
  const further = stateAfter([10, START, waiting], [20, 15, claimed], [30, 15, step]);
  t.is(decide(standIn, further), "drop", "its owner has gone on");
  const over = stateAfter([10, START, waiting], [20, 15, claimed], [30, 25, takeover]);
  t.is(decide(standIn, over), "take-over", "it is the run's own by now");
  t.is(decide(standIn, over, { isHeldHere: true }), "extend");
  t.is(decide({ sequence: 15, answers: 10 }, over), "drop", "the lost one is dead for ever");
});

test("a queued run: a token that stands in for its start claims, and the start is dead then", (t) => {
  const standIn = { sequence: 25, answers: 0, standsIn: true };
  t.is(decide(standIn, stateAfter()), "claim");
  t.is(decide(standIn, stateAfter([10, START, step])), "drop");
  t.is(decide(startToken, stateAfter([30, 25, claimed])), "drop");
  t.is(decide(standIn, stateAfter([10, START, waiting])), "drop");
});

test("a waiting run: a token for its wait claims, the one that led to it registers, all others are dropped", (t) => {
  const state = stateAfter([10, START, waiting], [20, 15, claimed], [30, 15, waiting]);
  t.is(decide({ sequence: 35, answers: 30 }, state), "claim");
  t.is(decide({ sequence: 15, answers: 10 }, state), "register");
  t.is(decide({ sequence: 16, answers: 10 }, state), "drop");
  t.is(decide(startToken, state), "drop");
  t.is(decide({ sequence: 40, answers: 20 }, state), "drop", "it answers no waiting commit");
  t.is(decide(startToken, stateAfter([10, START, waiting])), "register");
});

test("a paused run: a token for its pause claims, all others are dropped", (t) => {
  const state = stateAfter([10, START, claimed, paused]);
  t.is(decide({ sequence: 15, answers: 10 }, state), "claim");
  t.is(decide(startToken, state), "drop");
});

test("an ended run, or one of another incarnation, drops every token", (t) => {
  const over = stateAfter([10, START, ended]);
  const newer = stateAfter();
  evolve(newer, {
    sequence: 50,
    startSequence: 40,
    pass: "w.1",
    token: 40,
    time: 0,
    entries: [step],
  });
  for (const state of [over, newer])
    for (const token of [startToken, { sequence: 15, answers: 10 }, { sequence: 90, answers: 80 }])
      for (const isFresh of [true, false]) t.is(decide(token, state, { isFresh }), "drop");
  t.is(decide(startToken, { ...stateAfter(), status: "failed" }), "drop", "by its status alone");
});

test("after so many takeovers without another entry the run is paused instead", (t) => {
  const commits: CommitSpec[] = [[10, START, step]];
  for (let count = 0; count < TAKEOVERS_BEFORE_PAUSE; count++) {
    t.is(decide(startToken, stateAfter(...commits)), "take-over", `${count} takeovers`);
    commits.push([20 + count, START, takeover]);
  }
  t.is(decide(startToken, stateAfter(...commits)), "pause");
  t.is(decide(startToken, stateAfter(...commits), { isHeldHere: true }), "extend");
  t.is(decide(startToken, stateAfter(...commits, [30, START, step])), "take-over");
});

test("a history with an unreadable message pauses the run, once, unless it has ended before", (t) => {
  const broken = noteUnreadable(stateAfter([10, START, step]), 11);
  t.is(decide(startToken, broken), "pause");
  t.is(decide({ sequence: 15, answers: 14 }, broken), "pause");
  const told = evolve(broken, {
    ...{ sequence: 12, startSequence: START, pass: "w.2", token: START, time: 0 },
    entries: [paused],
  });
  t.is(decide(startToken, told), "drop");
  t.is(decide(startToken, noteUnreadable(stateAfter([10, START, ended]), 11)), "drop");
});

// --- every token under every history

/** A commit, or a token that is stored between commits. */
type Stored =
  | { readonly sequence: number; readonly commit: StoredCommit }
  | { readonly sequence: number; readonly answers: number };

/**
 * A log as the protocol allows it: commits of passes, takeovers, waits and pauses, tokens for each
 * wait, duplicates of them included, early and late; perhaps an end, perhaps another start.
 */
function logOf(choices: readonly number[]): Stored[] {
  const log: Stored[] = [{ sequence: START, answers: 0 }];
  const tokens = [{ sequence: START, answers: 0 }];
  let sequence = START;
  let owner = START;
  let wait: number | undefined = 0;
  let isOver = false;
  const commit = (token: number, ...entries: Entry[]): void => {
    sequence++;
    log.push({
      sequence,
      commit: { sequence, startSequence: START, pass: `w.${token}`, token, time: 0, entries },
    });
  };
  for (const choice of choices) {
    const kind = choice % 10;
    const pick = Math.floor(choice / 10);
    if (kind >= 8 && wait !== undefined && wait > 0) {
      const token = { sequence: ++sequence, answers: wait };
      log.push(token);
      tokens.push(token);
    } else if (isOver) continue;
    else if (wait !== undefined) {
      const able = tokens.filter(({ answers }) => answers === wait);
      const token = able[pick % Math.max(able.length, 1)];
      if (!token) continue;
      owner = token.sequence;
      if (wait === 0 && kind < 3) commit(owner, step);
      else commit(owner, claimed);
      wait = undefined;
    } else if (kind < 3) commit(owner, step);
    else if (kind < 5) commit(owner, takeover);
    else if (kind === 5) {
      commit(owner, pick % 2 === 0 ? waiting : paused);
      wait = sequence;
    } else if (kind === 6 && pick % 3 === 0) {
      commit(owner, ended);
      isOver = true;
    } else {
      commit(owner, step, waiting);
      wait = sequence;
    }
  }
  return log;
}

/** What is known of the run after so many messages of its log. */
function known(log: readonly Stored[], count: number): RunState {
  const state = initialState(START, 0);
  for (const message of log.slice(0, count)) if ("commit" in message) evolve(state, message.commit);
  return state;
}

const logs = fc.array(fc.nat(99), { minLength: 4, maxLength: 20, size: "max" }).map(logOf);
const everyFact = [true, false].flatMap((isHeldHere) =>
  [true, false].flatMap((isSurelyFirst) => ({ isHeldHere, isSurelyFirst })),
);

test("a token that is dropped once, also after a reading that was too old, is dropped ever after", (t) => {
  let drops = 0;
  fc.assert(
    fc.property(logs, (log) => {
      for (const [stored, token] of log.entries()) {
        if ("commit" in token) continue;
        let isDropped = false;
        for (let count = 0; count <= log.length; count++) {
          const isFresh = count > stored; // as new as the token itself
          const actions = everyFact.flatMap((given) => [
            decide(token, known(log, count), { ...given, isFresh }),
            decide(token, known(log, count), { ...given, isFresh: false }),
          ]);
          if (isDropped && isFresh)
            t.true(
              actions.every((action) => action === "drop"),
              `${actions}`,
            );
          isDropped ||= actions.includes("drop");
        }
        drops += isDropped ? 1 : 0;
      }
      return true;
    }),
    { numRuns: 1_000 },
  );
  t.true(drops > 1_000, `only ${drops} tokens were dropped`);
});

test("a run that has not ended always has a token that is not dropped", (t) => {
  fc.assert(
    fc.property(logs, (log) => {
      for (let count = 1; count <= log.length; count++) {
        const state = known(log, count);
        if (state.outcome || state.status === "paused") continue;
        const tokens = log.slice(0, count).filter((message) => "answers" in message);
        const live = tokens.filter(
          (token) =>
            decide(token as { sequence: number; answers: number }, state, { isFresh: true }) !==
            "drop",
        );
        t.true(
          live.some(({ sequence }) => sequence === state.token),
          "the one of the last passage",
        );
      }
      return true;
    }),
    { numRuns: 1_000 },
  );
});

test("only a token for the tail's wait, or of the active passage, may lead to a claim", (t) => {
  fc.assert(
    fc.property(logs, fc.nat(60), fc.nat(60), (log, sequence, answers) => {
      const state = known(log, log.length);
      for (const given of everyFact) {
        const action = decide({ sequence, answers }, state, { ...given, isFresh: true });
        if (action === "claim" || action === "begin") t.is(answers, state.waitSequence);
        if (action === "take-over" || action === "extend") t.is(sequence, state.token);
      }
      return true;
    }),
    { numRuns: 2_000 },
  );
});

test("a token that reopens a run claims directly behind the end that it answers, if the run failed", (t) => {
  const failure: Entry = {
    kind: "ended",
    outcome: { status: "failed", error: { name: "E", message: "no" } },
  };
  const failed = stateAfter([10, START, failure]);
  const token = { sequence: 30, answers: 10, reopens: true };
  t.is(decide(token, failed), "claim");
  t.is(decide({ ...token, reopens: false }, failed), "drop");
  t.is(decide({ ...token, answers: 9 }, failed), "drop");
  t.is(decide({ ...token, answers: 20 }, failed), "read-again"); // it failed again since
  t.is(decide({ ...token, answers: 20 }, failed, { isFresh: true }), "drop");
  t.is(decide(token, stateAfter([10, START, ended])), "drop");
  const retried: Entry = { kind: "retried", by: "ann", reason: "", again: [] };
  const reopened = stateAfter([10, START, failure], [31, 30, claimed, retried]);
  t.is(decide(token, reopened), "take-over");
  t.is(decide({ ...token, sequence: 32 }, reopened), "drop"); // a second request
  const again = stateAfter([10, START, failure], [31, 30, claimed, retried], [35, 30, failure]);
  t.is(decide(token, again), "drop");
});

test("a retry that was asked for before its run was retired claims behind that, a later one does not", (t) => {
  const failure: Entry = {
    kind: "ended",
    outcome: { status: "failed", error: { name: "E", message: "no" } },
  };
  const retired: Entry = { kind: "retired", end: 10 };
  const state = stateAfter([10, START, failure], [12, START, retired]);
  t.is(state.status, "failed");
  const token = { sequence: 11, answers: 10, reopens: true };
  t.is(decide(token, state), "claim");
  t.is(decide({ ...token, sequence: 13, answers: 12 }, state), "drop");
  t.is(decide({ sequence: 11, answers: 10 }, state), "drop");
  const retried: Entry = { kind: "retried", by: "ann", reason: "", again: [] };
  const reopened = evolve(state, {
    ...{ sequence: 14, startSequence: START, pass: "w.2", token: 11, time: 0 },
    entries: [claimed, retried],
  });
  t.deepEqual([reopened.status, reopened.retiredEnd], ["running", undefined]);
  // What names no end that is there changes nothing.
  t.is(stateAfter([10, START, claimed], [11, START, retired]).retiredEnd, undefined);
});

test("a run that loses worker after worker is paused in the end, however long each lived with it", (t) => {
  const lost = (count: number): RunState =>
    stateAfter(
      [10, START, claimed],
      ...Array.from(
        { length: count },
        (_, i): CommitSpec => [11 + i, START, takeover, { kind: "outlived" }],
      ),
    );
  t.is(decide(startToken, lost(24)), "take-over");
  t.is(decide(startToken, lost(25)), "pause");
});
