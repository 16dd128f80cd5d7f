/** How files are called and how long they may be. */
import type { HouseRule, Offense, Sample } from "./rule.ts";
import type { SourceFile } from "./source-file.ts";

/** The most lines a TypeScript file may have. */
const LONGEST_FILE_LINES = 400;
/** ... below `test`, where a file is read one test at a time. */
const LONGEST_TEST_LINES = 600;

const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
const VAGUE_NAMES = new Set(["utils", "util", "types", "helpers", "common", "misc"]);

const file = (path: string, text = ""): Sample => ({ path, text });

function forEachSource(
  files: readonly SourceFile[],
  complain: (file: SourceFile) => string | undefined,
): Offense[] {
  return files
    .filter(({ path }) => path.endsWith(".ts"))
    .flatMap((source) => {
      const message = complain(source);
      return message === undefined ? [] : [{ path: source.path, line: 1, message }];
    });
}

/** The rules about files. */
export const fileRules: readonly HouseRule[] = [
  {
    title: "a file has one concept and fits into 400 lines, a test into 600",
    bad: [
      file("shared/long.ts", "a;\n".repeat(LONGEST_FILE_LINES + 1)),
      file("test/long.test.ts", "a;\n".repeat(LONGEST_TEST_LINES + 1)),
    ],
    good: [
      file("shared/long.ts", "a;\n".repeat(LONGEST_FILE_LINES)),
      file("test/long.test.ts", "a;\n".repeat(LONGEST_TEST_LINES)),
    ],
    check: (files) =>
      forEachSource(files, ({ path, text }) => {
        const lines = text.split("\n").length - 1;
        const most = path.startsWith("test/") ? LONGEST_TEST_LINES : LONGEST_FILE_LINES;
        if (lines <= most) return undefined;
        return `${lines} lines: split it by concept, at most ${most} a file`;
      }),
  },
  {
    title: "names of files and folders are in kebab case",
    bad: [file("shared/runState.ts"), file("engine/My_Folder/main.ts")],
    good: [file("shared/run-state.ts"), file("test/run-state.test.ts")],
    check: (files) =>
      forEachSource(files, ({ path }) =>
        path.split("/").every((part) => KEBAB_CASE.test(part))
          ? undefined
          : "rename it to lower-case words with hyphens, as in run-state.ts",
      ),
  },
  {
    title: "a file is called after what it holds",
    bad: [file("shared/utils.ts"), file("engine/types.ts")],
    good: [file("shared/durations.ts"), file("test/types/task.types.ts")],
    check: (files) =>
      forEachSource(files, ({ path }) => {
        const name = path.split("/").at(-1)?.split(".")[0] ?? "";
        if (!VAGUE_NAMES.has(name)) return undefined;
        return "call it after its concept; a type lives with the code that owns it";
      }),
  },
  {
    title: "only test files are called .test.ts, and helpers are not",
    bad: [file("test/helpers/nats.test.ts"), file("shared/codec.test.ts")],
    good: [file("test/shared/codec.test.ts"), file("test/helpers/nats.ts")],
    check: (files) =>
      forEachSource(files, ({ path }) => {
        if (!path.endsWith(".test.ts")) return undefined;
        const isTest = path.startsWith("test/") && !path.startsWith("test/helpers/");
        return isTest ? undefined : "tests are in test/, and helpers are not tests";
      }),
  },
];
