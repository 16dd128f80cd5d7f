/**
 * `npm run chaos:check DIR`: judges what a chaos run has left. The exit code is 0 only when every rule
 * held, 1 when one is violated, 3 when one is not known.
 */
import { writeSync } from "node:fs";
import { judgeAll } from "./judgment.ts";
import { report } from "./report.ts";

const [path = "."] = process.argv.slice(2);
const judge = judgeAll(path);
writeSync(1, report(judge));
const verdicts = new Set(judge.verdicts().map(({ verdict }) => verdict));
process.exitCode = verdicts.has("violated") ? 1 : verdicts.has("not known") ? 3 : 0;
