import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "ava";
import { freePorts } from "../helpers/ports.ts";

/** Prints its ports and lives, and so owns them, until its standard input ends. */
const program = `
  const { freePorts } = await import(${JSON.stringify(new URL("../helpers/ports.js", import.meta.url).href)});
  console.log(JSON.stringify(await freePorts(60)));
  process.stdin.resume();`;

test("no port is given twice, neither to callers at once nor to two processes", async (t) => {
  const others = [1, 2, 3].map(async () => {
    const other = spawn(process.execPath, ["--input-type=module", "--eval", program]);
    t.teardown(() => other.kill());
    const [printed] = await once(other.stdout, "data");
    return JSON.parse(String(printed)) as number[];
  });
  const own = Array.from({ length: 30 }, () => freePorts(2));
  const ports = (await Promise.all([...own, ...others])).flat();
  t.is(ports.length, 60 + 3 * 60);
  t.is(new Set(ports).size, ports.length);
});
