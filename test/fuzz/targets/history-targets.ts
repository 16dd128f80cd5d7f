/** Histories: commits, their fold, and everything that is told of a run. */
import { decode, encode } from "../../../shared/codec.ts";
import { decodeCommit, encodeCommit, type StoredCommit } from "../../../shared/entries.ts";
import {
  InvalidInputError,
  LimitExceededError,
  RepairRefusedError,
  UndecodableError,
} from "../../../shared/errors.ts";
import { explainRun } from "../../../shared/explain.ts";
import { copyHistory } from "../../../shared/forks.ts";
import { type History, historyText, parseHistory } from "../../../shared/history-file.ts";
import { toJson } from "../../../shared/json.ts";
import type { LeaseRecord } from "../../../shared/leases.ts";
import { planRetry, planSkip } from "../../../shared/repairs.ts";
import { evolve, initialState, noteUnreadable, pendingLeaves } from "../../../shared/run-state.ts";
import type { RunView } from "../../../shared/run-view.ts";
import { pendingWaits, timelineOf } from "../../../shared/timeline.ts";
import type { Random } from "../../chaos/random.ts";
import { goldenBodies, goldenTexts, messageBody } from "../inputs/bytes.ts";
import { commit } from "../inputs/histories.ts";
import { mutatedText } from "../inputs/texts.ts";
import { data, mutated } from "../inputs/values.ts";
import { isSameData } from "../same-data.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

const NOW = 1_767_225_600_000;
const LEASE: LeaseRecord = {
  ...{ worker: "w", host: "h", pid: 1, pool: "durable", capacity: 1, at: "never" },
  held: [{ task: "a", run: "b", since: "yesterday" }],
};

/** A commit as bytes: good, with another value somewhere, or bytes that may be none. */
function commitBody(random: Random): Uint8Array {
  const whole = (): Uint8Array => {
    if (random.chance(0.1)) return random.pick(goldenBodies());
    const good = commit(random);
    if (random.chance(0.5)) return encodeCommit(good, "commit");
    // As it is on the wire: the kinds are numbers, so the bytes are read into rows again.
    const rows = readRows(encodeCommit(good, "commit"));
    const other = mutated(random, rows, () => data(random, 2));
    return attempt(() => encode(other, "commit"), InvalidInputError) as Uint8Array;
  };
  return random.chance(0.8) ? whole() : messageBody(random, whole);
}

/** What must not fail, whatever the history is. */
function tellAll(messages: readonly Uint8Array[]): void {
  const state = initialState(1, NOW);
  const commits: StoredCommit[] = [];
  for (const [i, message] of messages.entries()) {
    const read = attempt(() => decodeCommit(message, i + 2, "here"), UndecodableError);
    if (read === REFUSED) noteUnreadable(state, i + 2);
    else {
      evolve(state, read);
      if (read.startSequence === 1) commits.push(read);
      const written = attempt(() => encodeCommit(read, "commit"), InvalidInputError);
      if (written === REFUSED) continue;
      const again = encodeCommit(decodeCommit(written, i + 2, "there"), "commit");
      hold(Buffer.compare(written, again) === 0, "a commit that was read is written differently");
    }
  }
  const view: RunView = {
    ...{ taskName: "a", runId: "b", input: null, startedAt: NOW, startedBy: "x", startSequence: 1 },
    ...{ hasRegistration: true, hasTimer: true, commits, state },
  };
  for (const wait of state.pending.values()) pendingLeaves(wait);
  for (const row of timelineOf(view)) hold(typeof row.text === "string", "a row without a text");
  pendingWaits(view, NOW);
  const facts = { now: NOW, leases: [LEASE], group: undefined, hasEngine: true, firstEvent: 5 };
  hold(explainRun(view, facts).sentence.endsWith("."), "no sentence");
  JSON.parse(toJson([state.deliveries, state.outcome, state.paused]));
  const asker = { by: "x", reason: "y" };
  attempt(() => planRetry(view, asker), RepairRefusedError);
  attempt(() => planSkip(view, asker, "a", 1), RepairRefusedError);
  const refusals = [RepairRefusedError, InvalidInputError, LimitExceededError] as const;
  const copied = attempt(() => copyHistory(view, asker), ...refusals);
  if (copied !== REFUSED) for (const each of copied) decodeCommit(each, 1, "a copy");
  fileComesBack(view);
}

function fileComesBack(history: History): void {
  const written = attempt(() => historyText(history), InvalidInputError);
  if (written === REFUSED) return;
  const read = parseHistory(written, "file");
  hold(historyText(read) === written, "a history is written differently when it was read");
}

function readRows(message: Uint8Array): unknown {
  return decode(message, "here");
}

/** The targets of histories. */
export const historyTargets: readonly Target[] = [
  target({
    name: "history/commits",
    covers: ["shared/entries.ts decodeCommit", "shared/entry-forms.ts isCondition"],
    make: (random) => Array.from({ length: random.whole(1, 5) }, () => commitBody(random)),
    check: tellAll,
  }),
  target({
    name: "history/good-commits",
    covers: ["shared/entries.ts encodeCommit"],
    make: (random) => Array.from({ length: random.whole(1, 6) }, () => commit(random)),
    check(commits) {
      const written = commits.map((each) => encodeCommit(each, "commit"));
      for (const [i, bytes] of written.entries()) {
        const { sequence, ...read } = decodeCommit(bytes, i, "there");
        hold(sequence === i, "the sequence is another one");
        hold(isSameData(read, commits[i]), "a commit that was read is another one");
      }
      tellAll(written);
    },
  }),
  target({
    name: "history/file",
    covers: ["shared/history-file.ts parseHistory"],
    make: (random) => mutatedText(random, random.pick(goldenTexts())),
    check(text) {
      const read = attempt(() => parseHistory(text, "file"), UndecodableError);
      if (read !== REFUSED) fileComesBack(read);
    },
  }),
];
