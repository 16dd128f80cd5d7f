/**
 * Where in the code an operation is asked for, as file and line. A stack trace costs some 8 µs, so it
 * is taken the first time that a process sees a name in a task, and remembered: the place is then a
 * look-up. Of operations of one name at several places, it is the first.
 */
import type { TaskDefinition } from "../shared/task-definition.ts";

/** Names of one task whose places are remembered; of others nothing is said. */
const PLACES_PER_TASK = 1_000;
/** More frames than there are between the user's call and this file. */
const FRAMES = 10;
const PLACE_CHARACTERS = 120;

const known: WeakMap<TaskDefinition, Map<string, string | undefined>> = new WeakMap();

/** The place of an operation of this task, by its kind and name; nothing where it cannot be told. */
export function sourcePlace(task: TaskDefinition, name: string): string | undefined {
  let places = known.get(task);
  if (!places) {
    places = new Map();
    known.set(task, places);
  }
  if (places.has(name)) return places.get(name);
  if (places.size >= PLACES_PER_TASK) return undefined;
  const place = placeIn(stackHere(), OWN_FOLDERS);
  places.set(name, place);
  return place;
}

function stackHere(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  try {
    return new Error("place").stack ?? "";
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** This folder and the test kit's, which stands between a task and its context; also as source maps name them. */
const OWN_FOLDERS: readonly string[] = (() => {
  const own = [".", "../testing/"].map((folder) => new URL(folder, import.meta.url));
  return [...own, ...own.map(({ href }) => new URL(href.replace("/dist/", "/")))].flatMap(
    ({ href, pathname }) => [href, `(${pathname}`, ` ${pathname}`],
  );
})();

/** The last two parts of the path, and the line, of the first frame that is not in these folders. */
export function placeIn(stack: string, folders: readonly string[]): string | undefined {
  for (const frame of stack.split("\n").slice(1)) {
    const isOther = /^ +at /.test(frame) && !/[( ]node:/.test(frame);
    if (!isOther || folders.some((folder) => frame.includes(folder))) continue;
    const [, path, line] = /([^\s(]+):(\d+):\d+\)?$/.exec(frame) ?? [];
    if (path === undefined) continue;
    const file = path.split(/[\\/]/).slice(-2).join("/");
    return `${file.slice(-PLACE_CHARACTERS)}:${line}`;
  }
  return undefined;
}
