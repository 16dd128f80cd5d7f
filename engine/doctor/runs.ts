/**
 * Proves for every live run that something will wake it (P1), by the log and the servers alone: no
 * engine and no worker is asked. What seems lost is looked at again, because runs move meanwhile.
 */
import { pause } from "../../shared/jetstream/backoff.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { follow } from "../../shared/jetstream/follower.ts";
import { readLeases } from "../../shared/leases.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { type Names, prefixOf } from "../../shared/subjects.ts";
import { durationText } from "../../shared/time-text.ts";
import { type GroupProgress, groupOf, readProgress } from "../group-progress.ts";
import { isEnd } from "../past.ts";
import { type NoPicture, type Pictured, type RunPicture, readPictures } from "../run-pictures.ts";
import { judgeWake, type LostReason, type WakeVerdict } from "../wake-source.ts";
import type { Finding } from "./findings.ts";

/** How often what seems lost is looked at, and how far apart. */
const LOOKS = 4;
const PAUSE_MS = 2_000;
/** Runs that are read before they are judged. */
const RUNS_AT_ONCE = 12_000;

/** What was found. */
interface Tally {
  looked: number;
  queued: number;
  running: number;
  waiting: number;
  paused: number;
  readonly sources: Record<string, number>;
}

type Unproven = LostReason | "unreadable" | "unclear";

/** Looks at every live run. One finding for each that nobody will wake, and one that counts. */
export async function findRuns(link: NatsLink, setup: NamespaceSetup): Promise<Finding[]> {
  const startedAt = link.clock.monotonic();
  const walk = new Walk(link, setup.names);
  const live = await listLive(link, setup.names);
  let left: readonly [Pictured, Unproven][] = await walk.look(live);
  for (let look = 1; look < LOOKS && left.length > 0; look++) {
    await pause(link.clock, PAUSE_MS, walk.signal);
    left = await walk.look(left.map(([run]) => run));
  }
  const lost = left.map(([run, why]) => lostFinding(setup.names, run, why));
  const tookMs = Math.round(link.clock.monotonic() - startedAt);
  return [...lost, summary(walk.tally, lost.length, tookMs)];
}

/** The runs that have not ended, with the last sequence that is known of each. */
async function listLive(link: NatsLink, names: Names): Promise<Pictured[]> {
  const live = new Map<string, number>();
  await Promise.all(
    Array.from({ length: names.shardCount }, async (_, shard) => {
      const follower = follow(link, {
        stream: names.logStream(shard),
        subjects: (["token.start", "h", "c"] as const).map((kind) => names.everyRun(shard, kind)),
        from: "last-per-subject",
        headersOnly: true,
        onMessage: (message) => {
          const { subject, sequence } = message;
          if (!isOfRun(names, subject)) return; // anybody may publish where no run can be
          const prefix = prefixOf(subject);
          if (isEnd(message)) live.delete(prefix);
          else live.set(prefix, sequence);
        },
      });
      try {
        await follower.caughtUp;
      } finally {
        await follower.close();
      }
    }),
  );
  return [...live].map(([prefix, sequence]) => ({ prefix, sequence }));
}

function isOfRun(names: Names, subject: string): boolean {
  try {
    return names.parse(subject) !== undefined;
  } catch {
    return false;
  }
}

/** One walk over runs, perhaps several times. */
class Walk {
  readonly tally: Tally = {
    ...{ looked: 0, queued: 0, running: 0, waiting: 0, paused: 0 },
    sources: {},
  };
  readonly signal: AbortSignal = new AbortController().signal;
  readonly #link: NatsLink;
  readonly #names: Names;

  constructor(link: NatsLink, names: Names) {
    this.#link = link;
    this.#names = names;
  }

  /** @returns The runs of which it could not be proven, and why. */
  async look(runs: readonly Pictured[]): Promise<[Pictured, Unproven][]> {
    const { clock } = this.#link;
    const services = { link: this.#link, names: this.#names, clock, signal: this.signal };
    const { holders, slots } = await this.#readHolders();
    const groups = new Map<string, GroupProgress | undefined>();
    const left: [Pictured, Unproven][] = [];
    const unclear = new Map<string, [Pictured, RunPicture][]>();
    for (let i = 0; i < runs.length; i += RUNS_AT_ONCE) {
      const some = runs.slice(i, i + RUNS_AT_ONCE);
      const pictures = await readPictures(services, some);
      for (const run of some) {
        const picture = pictures.get(run.prefix) as RunPicture | NoPicture;
        if (picture === "ended" || picture === "gone") continue;
        if (picture === "no-start" || picture === "unreadable") {
          left.push([run, picture]);
          continue;
        }
        const group = groupOf(run.prefix);
        if (!groups.has(group)) groups.set(group, await readProgress(services, group));
        const progress = groups.get(group);
        const holder = holders.get(run.prefix);
        const verdict = judgeWake(picture, { progress, holder, answeredAt: 0 });
        if (verdict.kind === "sure") this.#count(verdict);
        else if (verdict.kind === "lost") left.push([run, verdict.reason]);
        else {
          const others = unclear.get(group);
          if (others) others.push([run, picture]);
          else unclear.set(group, [[run, picture]]);
        }
      }
    }
    for (const [group, some] of unclear) {
      // As many tokens are at workers, or on their way back from them, as runs seem to have one there.
      const rest = (groups.get(group)?.held ?? 0) - (slots.get(group) ?? 0);
      for (const [run, { status }] of some)
        if (rest >= some.length) this.#count({ kind: "sure", as: status, source: "token" });
        else left.push([run, "unclear"]);
    }
    return left;
  }

  #count({ as, source }: Extract<WakeVerdict, { kind: "sure" }>): void {
    this.tally.looked++;
    this.tally[as]++;
    const key = `${as} by ${source}`;
    this.tally.sources[key] = (this.tally.sources[key] ?? 0) + 1;
  }

  /** Who shows a slot for which run, and how many slots each group takes. */
  async #readHolders(): Promise<{
    readonly holders: ReadonlyMap<string, string>;
    readonly slots: ReadonlyMap<string, number>;
  }> {
    const holders = new Map<string, string>();
    const slots = new Map<string, number>();
    for (const { worker, held } of await readLeases(this.#link, this.#names))
      for (const slot of held) {
        const { prefix } = this.#names.run({ taskName: slot.task, runId: slot.run });
        if (!holders.has(prefix)) slots.set(groupOf(prefix), (slots.get(groupOf(prefix)) ?? 0) + 1);
        holders.set(prefix, worker);
      }
    return { holders, slots };
  }
}

const TEXTS: { readonly [U in Unproven]: string } = {
  "no-token": "the token that would carry it on is gone",
  "no-timer": "it waits for a time, and its timer is gone",
  "no-wait": "it waits for something that an engine has to match, and that is not registered",
  "no-registration": "it waits, and nothing of what it waits for is registered",
  "no-start": "its start is gone, and its input with it: it can neither go on nor end",
  unreadable: "the last message of its history, or its start, cannot be read",
  unclear:
    "its token was delivered, no worker shows a slot for it, and fewer tokens are at workers than runs seem to have one there",
};

function lostFinding(names: Names, { prefix }: Pictured, reason: Unproven): Finding {
  const { taskName, runId } = names.parse(`${prefix}.token.start`);
  const advice =
    reason === "no-start" || reason === "unreadable"
      ? ""
      : " An engine that runs wakes it within 30 s and a claim timeout.";
  return {
    check: "run",
    verdict: "problem",
    message: `Nobody will wake run ${JSON.stringify(runId)} of task ${JSON.stringify(taskName)}: ${TEXTS[reason]}.${advice}`,
    details: { task: taskName, id: runId, reason },
  };
}

function summary(tally: Tally, lost: number, tookMs: number): Finding {
  const { queued, running, waiting, paused, sources } = tally;
  const looked = tally.looked + lost;
  const counts = `${queued} queued, ${running} running, ${waiting} waiting, ${paused} paused`;
  const rest = lost === 0 ? "Each has something that will wake it" : `${lost} will not be woken`;
  return {
    check: "run",
    verdict: lost === 0 ? "ok" : "problem",
    message: `${looked} live runs were looked at in ${durationText(tookMs)}: ${counts}. ${rest}.`,
    details: { looked, queued, running, waiting, paused, lost, sources, tookMs },
  };
}
