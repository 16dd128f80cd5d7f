/**
 * Named places between any two writes where a test can stop, kill or delay this process. Without the
 * environment variable CONTRAIL_FAILPOINTS they cost one comparison.
 *
 * The variable holds rules, separated by commas: `name=action` or `name@n=action`, where n counts how
 * often the place must be reached, and action is `kill` (SIGKILL to itself), `stop` (SIGSTOP to
 * itself) or `hold:<file>` (wait until the file exists; `<file>.held` says that it waits). Each rule acts
 * once.
 */
import { existsSync, watch, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Reached a named place. Returns a promise only when a rule makes it wait. */
export type Failpoint = (name: string) => Promise<void> | undefined;

interface Rule {
  readonly name: string;
  readonly action: string;
  left: number;
}

/** Reads the rules of this process. */
export function failpointsFrom(text: string | undefined): Failpoint {
  if (!text) return () => undefined;
  const rules = text.split(",").map((part): Rule => {
    const [place = "", action = ""] = part.split("=");
    const [name = "", count = "1"] = place.split("@");
    return { name, action, left: Number(count) };
  });
  return (name) => {
    let due: Rule | undefined;
    for (const rule of rules)
      if (rule.name === name && rule.left > 0 && --rule.left === 0) due ??= rule;
    return due && act(due.action);
  };
}

function act(action: string): Promise<void> | undefined {
  if (action === "kill") process.kill(process.pid, "SIGKILL");
  if (action === "stop") process.kill(process.pid, "SIGSTOP");
  if (action.startsWith("hold:")) return fileExists(action.slice("hold:".length));
  return undefined;
}

function fileExists(path: string): Promise<void> {
  writeFileSync(`${path}.held`, "");
  return new Promise((resolve) => {
    const watcher = watch(dirname(path), () => {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    });
    if (existsSync(path)) {
      watcher.close();
      resolve();
    }
  });
}
