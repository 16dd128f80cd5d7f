/** What the protocol needs of the server's schedules and guards; no code of ours but the adapters. */
import test from "ava";
import { purgeSubject } from "../../../shared/jetstream/admin.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import type { HeaderList } from "../../../shared/jetstream/headers.ts";
import type { GuardedOutcome } from "../../../shared/jetstream/publisher.ts";
import { HEADERS } from "../../../shared/subjects.ts";
import { forEachTopology, stopTopologies } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, openLink, openStream } from "./fixtures.ts";

test.after.always(stopTopologies);

/** The subjects of one run, and its writes. */
class Run {
  readonly link: NatsLink;
  readonly stream: string;
  readonly prefix: string;

  constructor(link: NatsLink, stream: string, prefix: string) {
    this.link = link;
    this.stream = stream;
    this.prefix = prefix;
  }

  /** A commit on the history, which may cancel the timer. */
  commit(expect: number, headers: HeaderList = []): Promise<GuardedOutcome> {
    return this.link.publisher.guardedPublish(`${this.prefix}.h`, bytes("commit"), {
      expect,
      headers,
    });
  }

  /** A schedule for the wake-up, guarded by the history. */
  schedule(expect: number, inMs: number): Promise<GuardedOutcome> {
    const at = new Date(Date.now() + inMs).toISOString();
    return this.link.publisher.guardedPublish(`${this.prefix}.timer`, bytes("timer"), {
      expect,
      expectSubject: `${this.prefix}.h`,
      headers: [
        [HEADERS.schedule, `@at ${at}`],
        [HEADERS.scheduleTarget, `${this.prefix}.ready`],
      ],
    });
  }

  get cancelTimer(): HeaderList {
    return [
      [HEADERS.scheduler, `${this.prefix}.timer`],
      [HEADERS.scheduleNext, "purge"],
    ];
  }

  /** The last sequence of one of the run's subjects, by the leader; 0 when there is none. */
  async last(kind: string): Promise<number> {
    const subject = `${this.prefix}.${kind}`;
    return (await this.link.reader.lastFor(this.stream, subject, { leader: true }))?.sequence ?? 0;
  }

  /** The sequences of all messages; a replica may answer that is behind. */
  async sequences(kind: string): Promise<number[]> {
    const messages = await this.link.reader.readSubject(this.stream, `${this.prefix}.${kind}`);
    return messages.map(({ sequence }) => sequence);
  }

  async fires(): Promise<number> {
    return until(() => this.last("ready"));
  }
}

const sequenceOf = (outcome: GuardedOutcome): number =>
  outcome.ok ? outcome.sequence : Number.NaN;

forEachTopology((title, topology) => {
  const open = async (t: Parameters<typeof openLink>[0]): Promise<Run> => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    return new Run(link, stream, `${prefix}.run`);
  };

  test(`${title}: a schedule is stored only while the history ends where it expects`, async (t) => {
    const run = await open(t);
    const first = sequenceOf(await run.commit(0));
    const schedule = sequenceOf(await run.schedule(first, 60_000));
    t.true(schedule > first);
    const replaced = sequenceOf(await run.schedule(first, 50_000));
    t.is(await run.last("timer"), replaced);
    const second = sequenceOf(await run.commit(first));
    t.like(await run.schedule(first, 1), { ok: false, kind: "guard", lastSequence: second });
    t.is(await run.last("timer"), replaced);
  });

  test(`${title}: a commit cancels the schedule along with its own guard`, async (t) => {
    const run = await open(t);
    const first = sequenceOf(await run.commit(0));
    await run.schedule(first, 400);
    const claim = await run.commit(first, run.cancelTimer);
    t.true(claim.ok);
    t.is(await run.last("timer"), 0);
    // A later timer of the same run fires; the canceled one, due before it, has not.
    await run.schedule(sequenceOf(claim), 600);
    await run.fires();
    const ready = await run.link.reader.lastFor(run.stream, `${run.prefix}.ready`, {
      leader: true,
    });
    t.is(ready?.headers.get(HEADERS.scheduler), `${run.prefix}.timer`);
    t.is(await run.last("timer"), 0);
  });

  test(`${title}: a commit that is refused leaves the schedule alone`, async (t) => {
    const run = await open(t);
    const first = sequenceOf(await run.commit(0));
    const schedule = sequenceOf(await run.schedule(first, 60_000));
    t.like(await run.commit(0, run.cancelTimer), { kind: "guard", lastSequence: first });
    t.is(await run.last("timer"), schedule);
  });

  test(`${title}: canceling a schedule that never was, or has fired, is no error`, async (t) => {
    const run = await open(t);
    const first = sequenceOf(await run.commit(0, run.cancelTimer));
    const second = sequenceOf(await run.commit(first, run.cancelTimer));
    await run.schedule(second, 1);
    const ready = await run.fires();
    t.true((await run.commit(second, run.cancelTimer)).ok);
    t.is(await run.last("ready"), ready);
  });

  test(`${title}: canceling what is not a schedule refuses the whole commit`, async (t) => {
    const run = await open(t);
    const first = sequenceOf(await run.commit(0));
    await run.link.publisher.publish(`${run.prefix}.timer`, bytes("plain"));
    t.like(await run.commit(first, run.cancelTimer), { kind: "refused", code: 10212 });
    t.is(await run.last("h"), first);
  });

  test(`${title}: a purge up to a sequence leaves what came after, however often it is repeated`, async (t) => {
    const run = await open(t);
    const publish = (kind: string) =>
      run.link.publisher.publish(`${run.prefix}.${kind}`, bytes(""));
    await publish("start");
    await run.commit(0);
    await run.link.publisher.publish(`${run.prefix}2.start`, bytes("")); // another run
    const again = await publish("start");
    const before = again.ok ? again.sequence : Number.NaN;
    const purge = () =>
      purgeSubject(run.link.requests, { stream: run.stream, subject: `${run.prefix}.>`, before });
    t.is(await purge(), 2);
    await publish("h");
    t.is(await purge(), 0);
    const left = await until(async () => {
      const sequences = await run.sequences(">");
      return sequences.at(-1) === before + 1 && sequences;
    });
    t.deepEqual(left, [before, before + 1]);
    const other = await run.link.reader.lastFor(run.stream, `${run.prefix}2.start`, {
      leader: true,
    });
    t.is(other?.sequence, 3);
  });

  test(`${title}: claims and registrations of many runs that meet all settle, in order`, async (t) => {
    const run = await open(t);
    const runs = Array.from(
      { length: 32 },
      (_, i) => new Run(run.link, run.stream, `${run.prefix}${i}`),
    );
    await Promise.all(
      runs.map(async (each) => {
        let last = sequenceOf(await each.commit(0));
        for (let round = 0; round < 10; round++) {
          const [schedule, claim] = await Promise.all([
            each.schedule(last, 3_600_000),
            each.commit(last, each.cancelTimer),
          ]);
          t.true(claim.ok);
          t.true(schedule.ok || schedule.kind === "guard");
          // Stored after the claim, the schedule would be of a wait that is over.
          if (schedule.ok) t.true(schedule.sequence < sequenceOf(claim));
          last = sequenceOf(claim);
        }
        t.is(await each.last("timer"), 0);
      }),
    );
  });
});
