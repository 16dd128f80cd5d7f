/** What a house rule is, and the kinds of rules there are. */
import type { SourceFile } from "./source-file.ts";

/** One place that breaks a rule. The message says what to do instead. */
export interface Offense {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** A file made up to try a rule out. */
export interface Sample {
  readonly path: string;
  readonly text: string;
}

/** A rule with one file that breaks it and one that does not: both are tried in the tests. */
export interface HouseRule {
  /** Reads on after "the house rule: ". */
  readonly title: string;
  readonly bad: readonly Sample[];
  readonly good: readonly Sample[];
  check(files: readonly SourceFile[]): Offense[];
}

/** A rule against something in the code, outside comments and strings. */
export interface CodeRule extends Pick<HouseRule, "title" | "bad" | "good"> {
  readonly pattern: RegExp;
  /** Which files it holds for. */
  readonly where: (path: string) => boolean;
  readonly instead: string;
  /** Which text is searched. Default: `code`. */
  readonly search?: "code" | "comments" | "text";
}

/** Makes a rule of a pattern that must not occur. */
export function codeRule(rule: CodeRule): HouseRule {
  const { title, bad, good, pattern, where, instead, search = "code" } = rule;
  return {
    title,
    bad,
    good,
    check: (files) =>
      files
        .filter(({ path }) => where(path))
        .flatMap((file) =>
          [...file[search].matchAll(new RegExp(pattern, "g"))].map((match) => ({
            path: file.path,
            line: file.lineAt(match.index),
            message: `${match[0].trim()}: ${instead}`,
          })),
        ),
  };
}

/** Whether a file is TypeScript below one of these folders or is one of these files. */
export function under(...places: readonly string[]): (path: string) => boolean {
  return (path) =>
    path.endsWith(".ts") && places.some((place) => path === place || path.startsWith(`${place}/`));
}

/** Both. */
export function but(
  where: (path: string) => boolean,
  except: (path: string) => boolean,
): (path: string) => boolean {
  return (path) => where(path) && !except(path);
}
