import test from "ava";
import { IncompatibleSetupError } from "../../shared/errors.ts";
import { KEEP_ENDED_MS } from "../../shared/limits.ts";
import { keepEndedMsOf, parseSetup, SETUP_METADATA } from "../../shared/setup.ts";

const { format, shards, claimTimeoutMs, keepEndedMs } = SETUP_METADATA;
const good = { [format]: "1", [shards]: "4", [claimTimeoutMs]: "10000" };

test("a setup is read from the texts of a stream's metadata, and from nothing else", (t) => {
  t.is(parseSetup("ns", "S", { metadata: good }).shardCount, 4);
  const odd = { toString: 1 };
  for (const metadata of [
    undefined,
    null,
    5,
    "x",
    [],
    { ...good, [format]: 1 },
    { ...good, [shards]: odd },
    { ...good, [shards]: ["4"] },
    { ...good, [claimTimeoutMs]: odd },
  ])
    t.throws(() => parseSetup("ns", "S", { metadata }), { instanceOf: IncompatibleSetupError });
  t.is(keepEndedMsOf({ metadata: { [keepEndedMs]: odd } }), KEEP_ENDED_MS);
  t.is(keepEndedMsOf({ metadata: { [keepEndedMs]: "3600000" } }), 3_600_000);
});
