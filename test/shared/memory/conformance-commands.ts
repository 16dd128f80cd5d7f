/** Random requests to a JetStream server, small enough to be said again by another one. */
import fc from "fast-check";

/** Which sequence a guard expects, told so that it is right or wrong on every server alike. */
export type Expectation = "last" | "none" | "one-less" | "far";

/** A guard of a write, on its own or another subject. */
export interface Guard {
  readonly expect: Expectation;
  readonly subject?: string;
}

/** One request. Subjects are without their prefix. */
export type Command =
  | {
      readonly kind: "publish";
      readonly subject: string;
      readonly guard?: Guard;
      readonly headers: readonly (readonly [string, string])[];
      readonly data: string;
    }
  | {
      readonly kind: "schedule";
      readonly subject: string;
      readonly guard?: Guard;
      readonly at: "past" | "far" | "malformed";
      /** Without a prefix; "" for none. */
      readonly target: string;
      readonly headers: readonly (readonly [string, string])[];
    }
  | {
      readonly kind: "cancel";
      readonly subject: string;
      readonly guard?: Guard;
      readonly scheduler: string;
      readonly next: string;
    }
  | {
      readonly kind: "purge";
      readonly filter: string;
      readonly before: number;
      readonly keep: number;
    }
  | { readonly kind: "leader-get"; readonly subject?: string; readonly sequence?: number }
  | { readonly kind: "direct-get"; readonly subject?: string; readonly sequence?: number }
  | {
      readonly kind: "page";
      readonly filter: string;
      readonly from: number;
      readonly batch: number;
    }
  | { readonly kind: "multi-last"; readonly subjects: readonly string[]; readonly upTo: number }
  | { readonly kind: "pull"; readonly batch: number; readonly bytes: number }
  | { readonly kind: "pull-open"; readonly batch: number }
  | { readonly kind: "answer"; readonly which: number; readonly verb: string }
  | { readonly kind: "info" }
  | { readonly kind: "recreate"; readonly deliver: "all" | "new" | "last_per_subject" }
  | { readonly kind: "follow"; readonly from: number; readonly headersOnly: boolean }
  /** A consumer of its own with a short `ack_wait`: some of its messages come again. */
  | { readonly kind: "expire"; readonly answers: readonly string[] }
  /** A message with a time to live in a bucket, which leaves a marker. */
  | { readonly kind: "outlive"; readonly key: string };

const kinds = ["start", "ready", "h", "timer", "wait"] as const;
const run = fc.constantFrom("a", "b");
const subject = fc.tuple(run, fc.constantFrom(...kinds)).map((tokens) => tokens.join("."));
const history = run.map((token) => `${token}.h`);
const token = fc.tuple(run, fc.constantFrom("start", "ready")).map((tokens) => tokens.join("."));
const timer = run.map((name) => `${name}.timer`);
const pattern = fc.oneof(
  subject,
  fc.constantFrom("a.>", "b.>", "*.start", "*.ready", "*.*", ">", "a.*", "none.x"),
);
const expectation = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Expectation>("last") },
  { weight: 1, arbitrary: fc.constantFrom<Expectation>("none", "one-less", "far") },
);
const guard: fc.Arbitrary<Guard | undefined> = fc.option(
  fc.record(
    { expect: expectation, subject: fc.option(history, { nil: undefined }) },
    {
      requiredKeys: ["expect"],
    },
  ) as fc.Arbitrary<Guard>,
  { nil: undefined },
);
const sequence = fc.integer({ min: 0, max: 25 });
const small = fc.integer({ min: 1, max: 5 });

const oddHeaders = fc.constantFrom<readonly (readonly [string, string])[]>(
  [["Nats-Rollup", "sub"]],
  [["Nats-Rollup", "all"]],
  [["Nats-Rollup", "some"]],
  [["Nats-Scheduler", "forged"]],
  [["Nats-TTL", "1h"]],
  [["Nats-TTL", "x"]],
  [["Nats-TTL", "never"]],
  [["Nats-Expected-Stream", "OTHER"]],
  [["Nats-Expected-Last-Sequence", "3"]],
  [["Nats-Expected-Last-Subject-Sequence-Subject", "s.a.h"]],
  [
    ["Kind", "K"],
    ["Other", "more words"],
  ],
);

const publish = fc.record({
  kind: fc.constant("publish" as const),
  subject,
  guard,
  headers: fc.oneof(
    { weight: 5, arbitrary: fc.constant<readonly (readonly [string, string])[]>([]) },
    { weight: 3, arbitrary: fc.constant<readonly (readonly [string, string])[]>([["Kind", "K"]]) },
    { weight: 2, arbitrary: oddHeaders },
  ),
  data: fc.constantFrom("", "x", "some data"),
});

const schedule = fc.record({
  kind: fc.constant("schedule" as const),
  subject: fc.oneof({ weight: 5, arbitrary: timer }, { weight: 1, arbitrary: subject }),
  guard,
  at: fc.oneof(
    { weight: 4, arbitrary: fc.constant("far" as const) },
    { weight: 2, arbitrary: fc.constant("past" as const) },
    { weight: 1, arbitrary: fc.constant("malformed" as const) },
  ),
  target: fc.oneof(
    { weight: 8, arbitrary: token },
    { weight: 1, arbitrary: fc.constantFrom("", "a.*", "a.timer", "/elsewhere") },
  ),
  headers: fc.oneof(
    { weight: 4, arbitrary: fc.constant<readonly (readonly [string, string])[]>([]) },
    {
      weight: 3,
      arbitrary: fc.constantFrom<readonly (readonly [string, string])[]>(
        [["Kind", "K"]],
        [["Nats-Schedule-TTL", "1h"]],
        [["Nats-Schedule-TTL", "no"]],
        [["Nats-Schedule-Rollup", "sub"]],
        [["Nats-Schedule-Rollup", "all"]],
        [["Nats-Rollup", "all"]],
        [["Nats-TTL", "2h"]],
      ),
    },
  ),
});

const cancel = fc.record({
  kind: fc.constant("cancel" as const),
  subject: fc.oneof({ weight: 4, arbitrary: history }, { weight: 1, arbitrary: subject }),
  guard,
  scheduler: fc.oneof({ weight: 6, arbitrary: timer }, { weight: 1, arbitrary: pattern }),
  next: fc.oneof(
    { weight: 8, arbitrary: fc.constant("purge") },
    { weight: 1, arbitrary: fc.constant("2030-01-01T00:00:00Z") },
  ),
});

const reads = [
  fc.record({ kind: fc.constant("leader-get" as const), subject: pattern }),
  fc.record({ kind: fc.constant("leader-get" as const), sequence }),
  fc.record({ kind: fc.constant("direct-get" as const), subject: pattern }),
  fc.record({ kind: fc.constant("direct-get" as const), sequence }),
  fc.record({ kind: fc.constant("page" as const), filter: pattern, from: sequence, batch: small }),
  fc.record({
    kind: fc.constant("multi-last" as const),
    subjects: fc.array(pattern, { minLength: 1, maxLength: 4 }),
    upTo: fc.oneof(fc.constant(0), sequence),
  }),
] as const;

const answer = fc.record({
  kind: fc.constant("answer" as const),
  which: fc.nat({ max: 20 }),
  verb: fc.constantFrom("+ACK", "", "-NAK", '-NAK {"delay":3600000000000}', "+WPI", "+TERM", "+OK"),
});

/** A request of any kind. */
export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 24, arbitrary: publish },
  { weight: 8, arbitrary: schedule },
  { weight: 5, arbitrary: cancel },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("purge" as const),
      filter: pattern,
      before: fc.oneof(fc.constant(0), sequence),
      keep: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: small }),
    }),
  },
  ...reads.map((arbitrary) => ({ weight: 2, arbitrary })),
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant("pull" as const),
      batch: small,
      bytes: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(60, 200, 400)),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("pull-open" as const), batch: small }) },
  { weight: 12, arbitrary: answer },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("info" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("recreate" as const),
      deliver: fc.constantFrom("all" as const, "new" as const, "last_per_subject" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("follow" as const),
      from: sequence,
      headersOnly: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("expire" as const),
      answers: fc.array(
        fc.constantFrom("+ACK", "-NAK", '-NAK {"delay":200000000}', "+WPI", "none"),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("outlive" as const),
      key: fc.constantFrom("k", "l"),
    }),
  },
) as fc.Arbitrary<Command>;

/** What one client asks, one after the other. */
export const script: fc.Arbitrary<readonly Command[]> = fc.array(command, {
  minLength: 5,
  maxLength: 40,
  size: "max",
});
