import test from "ava";
import { Lead } from "../../engine/lead.ts";
import type { GuardedOutcome } from "../../shared/jetstream/publisher.ts";
import { LEAD_RENEWAL_MS, LEAD_TTL_MS } from "../../shared/limits.ts";
import { FakeServices, settle, stored } from "./fakes.ts";

test("an engine stops acting before its lease runs out when no answer comes at all", async (t) => {
  const fake = new FakeServices();
  let term: AbortSignal | undefined;
  const lead = new Lead({
    ...fake.services,
    name: "e",
    serve: async (signal) => {
      term = signal;
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  });
  fake.answer = () => stored(7);
  lead.start();
  await settle();
  t.true(lead.isLeading);
  t.is(fake.written[0]?.options.expect, 0);
  fake.clock.advance(LEAD_RENEWAL_MS);
  await settle();
  t.is(fake.written[1]?.options.expect, 7);
  // From here on the server is silent: the write under way is neither answered nor given up.
  fake.answer = () => new Promise<GuardedOutcome>(() => {});
  fake.clock.advance((LEAD_TTL_MS * 2) / 3 - 1);
  await settle();
  t.is(fake.written.length, 3);
  t.false(term?.aborted);
  fake.clock.advance(1);
  await settle();
  t.true(term?.aborted);
});

test("a renewal whose answer was lost is known by its record", async (t) => {
  const fake = new FakeServices();
  const lead = new Lead({
    ...fake.services,
    name: "e",
    serve: (signal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
  });
  lead.start();
  await settle();
  let renewed = 0;
  fake.answer = ({ body, subject, options }) => {
    renewed++;
    fake.last = () => ({
      sequence: options.expect + 1,
      subject,
      timeMs: 0,
      data: body,
      headers: { get: () => undefined, last: () => undefined },
    });
    return { ok: false, kind: "guard", uncertain: true };
  };
  fake.clock.advance(LEAD_RENEWAL_MS);
  await settle();
  fake.clock.advance(LEAD_RENEWAL_MS);
  await settle();
  t.is(renewed, 2);
  t.true(lead.isLeading);
  // The same refusal without doubt means that somebody else has the lead.
  fake.answer = () => ({ ok: false, kind: "guard", uncertain: false });
  fake.clock.advance(LEAD_RENEWAL_MS);
  await settle();
  t.false(lead.isLeading);
});
