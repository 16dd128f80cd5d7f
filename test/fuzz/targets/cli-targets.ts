/** What stands on the command line. */
import { InvalidArgumentError } from "commander";
import {
  duration,
  durationOrForever,
  instantOrAgo,
  jsonValue,
  wholeNumber,
} from "../../../engine/cli/arguments.ts";
import { jsonText, printable, shorten } from "../../../engine/cli/format.ts";
import { isChildMessage } from "../../../engine/cli/parent.ts";
import { candidates, runText } from "../../../engine/cli/run-reference.ts";
import { InvalidInputError } from "../../../shared/errors.ts";
import { mutatedText, text } from "../inputs/texts.ts";
import { anything, json } from "../inputs/values.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

const HIGHEST = 65_535;

/** The targets of the command line. */
export const cliTargets: readonly Target[] = [
  target({
    name: "cli/numbers",
    covers: ["engine/cli/arguments.ts wholeNumber"],
    make: (random) => (random.chance(0.5) ? text(random) : mutatedText(random, "4222")),
    check(given) {
      const number = attempt(() => wholeNumber(1, HIGHEST)(given), InvalidArgumentError);
      if (number === REFUSED) return;
      hold(
        Number.isInteger(number) && number >= 1 && number <= HIGHEST,
        `${number} is out of range`,
      );
    },
  }),
  target({
    name: "cli/times",
    covers: [
      "engine/cli/arguments.ts duration",
      "engine/cli/arguments.ts durationOrForever",
      "engine/cli/arguments.ts instantOrAgo",
    ],
    make: (random) =>
      random.chance(0.3)
        ? text(random)
        : mutatedText(
            random,
            random.pick(["2026-11-24T12:00:00Z", "90s", "7 days", "forever", "PT1H"]),
          ),
    check(given) {
      attempt(() => duration(given), InvalidArgumentError);
      attempt(() => durationOrForever(given), InvalidArgumentError);
      const at = attempt(() => instantOrAgo(given), InvalidArgumentError);
      if (at !== REFUSED) hold(!Number.isNaN(at), "no instant");
    },
  }),
  target({
    name: "cli/json",
    covers: ["engine/cli/arguments.ts jsonValue"],
    // No file is read but one whose name cannot be: "@" and "-" would read what is there.
    make: (random) =>
      mutatedText(random, JSON.stringify(json(random)) ?? "")
        .replace(/^@/, "@\u0000")
        .replace(/^-$/, "x"),
    check(given) {
      const value = attempt(() => jsonValue(given, "input"), InvalidInputError);
      if (value !== REFUSED) JSON.parse(jsonText(value));
    },
  }),
  target({
    name: "cli/runs",
    covers: ["engine/cli/run-reference.ts candidates"],
    make: (random) => ({ text: text(random).slice(0, 20_000), task: text(random).slice(0, 100) }),
    check({ text: id, task }) {
      const meant = candidates({ text: runText({ taskName: task, runId: id }) });
      const isThere = meant.some(({ taskName, runId }) => taskName === task && runId === id);
      hold(isThere || task === "" || id === "", "the run is not among those that it may mean");
      candidates({ text: id, task });
    },
  }),
  target({
    name: "cli/output",
    covers: ["engine/cli/format.ts printable"],
    make: text,
    check(given) {
      hold(!/[\p{Cc}]/u.test(printable(given)), "a control character reaches the terminal");
      hold(shorten(given, 50).length <= 50, "too long");
    },
  }),
  target({
    name: "cli/child-message",
    covers: ["engine/cli/parent.ts isChildMessage"],
    make: (random) =>
      random.chance(0.5) ? anything(random) : { kind: random.pick(["files", "ready", 1]) },
    check: (message) => void isChildMessage(message),
  }),
];
