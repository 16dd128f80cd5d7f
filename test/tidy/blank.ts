/** Splits TypeScript into code and comments by blanking, so that positions stay the same. */

/** Two texts as long as the original. */
export interface Blanked {
  /** Without comments, and with empty strings, templates and patterns. */
  readonly code: string;
  /** Without anything but comments. */
  readonly comments: string;
}

/** After these a slash begins a pattern; after anything else it divides. */
const BEFORE_PATTERN =
  /(?:^|[(,=:[!&|?{};+\-*%~^<>\n]|\b(?:return|typeof|case|in|of|do|else|yield|await))\s*$/;

type Kind = "code" | "comment" | "inside";

/** Blanks what is not code, and what is not a comment. */
export function blank(text: string): Blanked {
  const kinds: Kind[] = new Array<Kind>(text.length).fill("code");
  const mark = (from: number, to: number, kind: Kind): number => {
    kinds.fill(kind, from, to);
    return to;
  };
  /** The open braces of each template's `${`: the last one closes back into its template. */
  const braces: number[] = [];
  let at = 0;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at];
    if (two === "//") at = mark(at, lineEnd(text, at), "comment");
    else if (two === "/*") at = mark(at, after(text, "*/", at + 2), "comment");
    else if (one === '"' || one === "'") at = mark(at + 1, closing(text, at, one), "inside") + 1;
    else if (one === "`" || (one === "}" && braces.at(-1) === 0)) {
      if (one === "}") braces.pop();
      const end = templateEnd(text, at + 1);
      mark(at + 1, end, "inside");
      if (text[end] === "$") braces.push(0);
      at = end + (text[end] === "$" ? 2 : 1);
    } else if (one === "/" && BEFORE_PATTERN.test(text.slice(Math.max(0, at - 80), at))) {
      at = mark(at + 1, patternEnd(text, at + 1), "inside") + 1;
    } else {
      const depth = braces.at(-1);
      if (depth !== undefined && one === "{") braces[braces.length - 1] = depth + 1;
      if (depth !== undefined && one === "}") braces[braces.length - 1] = depth - 1;
      at++;
    }
  }
  const keep = (kind: Kind): string =>
    text.replace(/[^\n]/g, (character, index: number) => (kinds[index] === kind ? character : " "));
  return { code: keep("code"), comments: keep("comment") };
}

function after(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found === -1 ? text.length : found + end.length;
}

function lineEnd(text: string, from: number): number {
  const found = text.indexOf("\n", from);
  return found === -1 ? text.length : found;
}

/** Where the quote that opens at `from` closes. */
function closing(text: string, from: number, quote: string): number {
  let at = from + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

/** Where a template's text ends: at its closing quote, or at the dollar of a placeholder. */
function templateEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "`" && text.slice(at, at + 2) !== "${") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

/** Where a pattern's closing slash is; a slash within brackets does not close it. */
function patternEnd(text: string, from: number): number {
  let isBracketed = false;
  let at = from;
  while (at < text.length && text[at] !== "\n" && (isBracketed || text[at] !== "/")) {
    if (text[at] === "[") isBracketed = true;
    if (text[at] === "]") isBracketed = false;
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}
