/** The project's own files as the house rules look at them: code, comments and imports apart. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { blank } from "./blank.ts";

/** One import or re-export, wherever it stands in a file. */
export interface Import {
  /** As written, such as `../shared/task.ts` or `node:fs`. */
  readonly specifier: string;
  /** A path from the root for a file of ours; undefined for a package. */
  readonly target: string | undefined;
  readonly line: number;
}

/** A file of the project. */
export class SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with the insides of comments, strings and patterns blanked; nothing moves. */
  readonly code: string;
  /** The text with everything but comments blanked. */
  readonly comments: string;
  readonly imports: readonly Import[];

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    const blanked = path.endsWith(".ts") ? blank(text) : { code: text, comments: text };
    this.code = blanked.code;
    this.comments = blanked.comments;
    this.imports = path.endsWith(".ts") ? this.#findImports() : [];
  }

  /** The line, counted from 1, at a position in the text. */
  lineAt(position: number): number {
    return this.text.slice(0, position).split("\n").length;
  }

  #findImports(): Import[] {
    const pattern = /\b(?:import|export)\b(?:[^;"'=]*?\bfrom)?\s*\(?\s*"( *)"/g;
    return [...this.code.matchAll(pattern)].map((match) => {
      const end = match.index + match[0].length - 1;
      const specifier = this.text.slice(end - (match[1] ?? "").length, end);
      return { specifier, target: resolve(this.path, specifier), line: this.lineAt(end) };
    });
  }
}

/** What is never looked at: built, fetched or kept by other tools. */
const SKIPPED = new Set(["node_modules", "dist", "coverage", ".git", ".contrail"]);
const TEXT_FILE = /\.(?:ts|js|json|md|conf|yml|yaml|sh|html|css)$|^\.ci\/run$/;

/** Reads every text file of the project but the lock file. */
export function readProject(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (SKIPPED.has(entry.name) || path === "package-lock.json") continue;
      if (entry.isDirectory()) visit(path);
      else if (TEXT_FILE.test(path)) {
        files.push(new SourceFile(path, readFileSync(join(root, path), "utf8")));
      }
    }
  };
  visit("");
  return files;
}

function resolve(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
