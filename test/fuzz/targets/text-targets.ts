/** Names, subjects, times, ids: short texts that mean something. */
import { NameTree } from "../../../engine/name-tree.ts";
import { splitChildId } from "../../../shared/child-ids.ts";
import {
  type DurationInput,
  type InstantInput,
  instantFromMs,
  toDurationMs,
  toInstantMs,
  toTimeoutMs,
} from "../../../shared/durations.ts";
import { InvalidInputError, UndecodableError } from "../../../shared/errors.ts";
import { checkEventName, checkEventPattern, matchesName } from "../../../shared/event-names.ts";
import { parsePassId, passId } from "../../../shared/pass-id.ts";
import {
  isReference,
  ownersOf,
  payloadName,
  payloadPath,
} from "../../../shared/payload-reference.ts";
import { checkName, decodeToken, encodeToken, LOG_KINDS, Names } from "../../../shared/subjects.ts";
import { durationText, instantText, relativeText } from "../../../shared/time-text.ts";
import type { Random } from "../../chaos/random.ts";
import { dotted, mutatedText, text, word } from "../inputs/texts.ts";
import { anything, number } from "../inputs/values.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

const names = new Names("ns", 64);

function token(random: Random): string {
  return random.chance(0.4)
    ? encodeToken(text(random))
    : mutatedText(random, encodeToken(text(random)));
}

function subject(random: Random): string {
  const { prefix } = names.runOfTokens(token(random), token(random));
  const whole = `${prefix}.${random.pick(LOG_KINDS)}`;
  return random.chance(0.4) ? whole : mutatedText(random, whole);
}

const UNITS = [
  "w",
  "d",
  "h",
  "m",
  "s",
  "ms",
  "days",
  "mo",
  "years",
  "constructor",
  "__proto__",
  "",
];

function durationOf(random: Random): unknown {
  const chance = random.next();
  const amount = random.pick([
    "1",
    "0",
    "1.5",
    "999999999999",
    "1e3",
    "-1",
    "00.10",
    "9".repeat(190),
  ]);
  if (chance < 0.35) return `${amount}${random.pick(["", " "])}${random.pick(UNITS)}`;
  if (chance < 0.5) return `${amount}h ${amount}m, 2s`;
  if (chance < 0.65)
    return mutatedText(random, random.pick(["PT1H", "P1DT2.5S", "-PT1M", "P1Y", "PT99999999999H"]));
  if (chance < 0.85)
    return {
      [random.pick(["hours", "days", "months", "x"])]: number(random),
      seconds: number(random),
    };
  return chance < 0.93 ? text(random) : anything(random);
}

function instantOf(random: Random): unknown {
  const chance = random.next();
  const whole = random.pick([
    "2030-01-31T09:00:00Z",
    "2030-01-31T10:00:00+01:00[Europe/Paris]",
    "-271821-04-20T00:00:00Z",
    "2030-01-31",
    "+275760-09-13T00:00:00Z",
    "2030-01-31T09:00:60.999999999-23:59[u-ca=iso8601]",
  ]);
  if (chance < 0.2) return whole;
  if (chance < 0.7) return mutatedText(random, whole);
  if (chance < 0.85)
    return random.pick([new Date(number(random)), { epochMilliseconds: number(random) }]);
  return anything(random);
}

/** What an order of tokens means, written as plainly as can be. */
function covers([first, ...pattern]: string[], [token, ...name]: string[]): boolean {
  if (first === ">" && pattern.length === 0) return token !== undefined;
  if (first === undefined || token === undefined) return first === token;
  return (first === "*" || first === token) && covers(pattern, name);
}

/** The targets of short texts. */
export const textTargets: readonly Target[] = [
  target({
    name: "subjects/token",
    covers: ["shared/subjects.ts decodeToken", "shared/subjects.ts encodeToken"],
    make: (random) => ({ token: token(random), text: text(random) }),
    check({ token: read, text: written }) {
      const decoded = attempt(() => decodeToken(read), UndecodableError);
      if (decoded !== REFUSED) hold(encodeToken(decoded) === read, "two tokens mean one name");
      const made = encodeToken(written);
      hold(
        written === "" || /^[\w-]+$/.test(made),
        "a token has a character that it must not have",
      );
      if (!/\p{Surrogate}/u.test(written) && written !== "")
        hold(decodeToken(made) === written, "a token means another name");
    },
  }),
  target({
    name: "subjects/parse",
    covers: ["shared/subjects.ts parse"],
    make: (random) => ({ subject: subject(random), task: text(random), run: text(random) }),
    check({ subject: read, task, run }) {
      const parsed = attempt(() => names.parse(read), UndecodableError);
      if (parsed !== REFUSED)
        hold(`${names.run(parsed).prefix}.${parsed.kind}` === read, "two subjects mean one run");
      for (const name of [task, run])
        if (attempt(() => checkName(name, "run id"), InvalidInputError) === REFUSED) return;
      const { prefix, shard } = names.run({ taskName: task, runId: run });
      const found = names.parse(`${prefix}.h`);
      hold(found.taskName === task && found.runId === run && found.shard === shard, "another run");
      names.taskConsumer(task);
      names.payloadInformation(run);
    },
  }),
  target({
    name: "event-names/match",
    covers: ["shared/event-names.ts checkEventName", "shared/event-names.ts checkEventPattern"],
    make: (random) => ({
      pattern: random.chance(0.9) ? dotted(random) : anything(random),
      name: dotted(random),
    }),
    check({ pattern, name }) {
      const isPattern = attempt(() => checkEventPattern(pattern), InvalidInputError) !== REFUSED;
      attempt(() => checkEventName(name), InvalidInputError);
      if (typeof pattern !== "string") return hold(!isPattern, "a pattern that is no text");
      const tree = new NameTree<true>();
      tree.set(pattern, true);
      const covering = tree.covering(name).length;
      const found = new NameTree<true>();
      found.set(name, true);
      const covered = found.covered(pattern).length;
      const matches = matchesName(pattern, name);
      // Anybody may publish under a name with wildcards in it, but not with empty tokens.
      if (!isPattern || name.split(".").includes("")) return;
      const expected = covers(pattern.split("."), name.split("."));
      hold(matches === expected, `matches: ${matches}`);
      hold(covering === Number(expected), `the tree of patterns says ${covering}`);
      hold(covered === Number(expected), `the tree of names says ${covered}`);
    },
  }),
  target({
    name: "times/duration",
    covers: ["shared/durations.ts toDurationMs", "shared/durations.ts toTimeoutMs"],
    make: durationOf,
    check(value) {
      const ms = attempt(() => toDurationMs(value as DurationInput, "timeout"), InvalidInputError);
      const limit = attempt(
        () => toTimeoutMs(value as DurationInput, "timeout"),
        InvalidInputError,
      );
      if (ms === REFUSED) return hold(limit === REFUSED, "a time limit that is no duration");
      hold(Number.isSafeInteger(ms) && ms >= 0, `${ms} is no number of milliseconds`);
      hold(ms === toDurationMs({ milliseconds: ms }, "timeout"), "milliseconds are others");
      durationText(ms);
    },
  }),
  target({
    name: "times/instant",
    covers: ["shared/durations.ts toInstantMs"],
    make: instantOf,
    check(value) {
      const ms = attempt(() => toInstantMs(value as InstantInput, "time"), InvalidInputError);
      if (ms === REFUSED) return;
      hold(Number.isSafeInteger(ms), `${ms} is no number of milliseconds`);
      hold(toInstantMs(instantFromMs(ms).toString(), "time") === ms, "an instant is another one");
    },
  }),
  target({
    name: "times/text",
    covers: ["shared/time-text.ts durationText", "shared/time-text.ts instantText"],
    make: (random) => ({ ms: number(random), now: number(random) }),
    check({ ms, now }) {
      for (const shown of [durationText(ms), instantText(ms), relativeText(ms, now)])
        hold(shown.length > 0 && shown.length < 200, `a time is shown as ${shown}`);
    },
  }),
  target({
    name: "ids/pass",
    covers: ["shared/pass-id.ts parsePassId"],
    make: (random) => ({
      read: random.chance(0.5)
        ? mutatedText(random, "worker-1/d1z")
        : `${text(random)}/r${word(random)}`,
      worker: text(random) || "w",
    }),
    check({ read, worker }) {
      const parsed = parsePassId(read);
      if (parsed) hold(parsed.worker !== "", "a pass of no worker");
      const back = parsePassId(passId({ worker, pool: "durable" }, 77));
      hold(back?.worker === worker && back.pool === "durable", "a pass of another worker");
    },
  }),
  target({
    name: "ids/child",
    covers: ["shared/child-ids.ts splitChildId"],
    make: (random) => mutatedText(random, `${"x".repeat(22)}-${random.whole(0, 1_000)}`),
    check(read) {
      const id = splitChildId(read);
      if (id) hold(`${id.prefix}-${id.ordinal}` === read, "two ids mean one child");
    },
  }),
  target({
    name: "ids/payload",
    covers: ["shared/payload-reference.ts isReference", "shared/payload-reference.ts ownersOf"],
    make: (random) => ({
      name: mutatedText(
        random,
        payloadName(payloadPath({ taskName: text(random), runId: text(random) }, "id")),
      ),
      parts: random.chance(0.3)
        ? anything(random)
        : [dotted(random), number(random), "x".repeat(43)],
    }),
    check({ name, parts }) {
      isReference(parts);
      for (const owner of ownersOf(name) ?? []) names.run(owner);
    },
  }),
];
