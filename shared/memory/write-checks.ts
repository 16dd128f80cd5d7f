/** Whether a stream takes a message: guards, schedules, time to live, in the order of the server. */
import { HEADERS } from "../subjects.ts";
import { type ApiRefusal, refusalOf } from "./api-errors.ts";
import { headerValue, withHeader } from "./header-text.ts";
import type { MessageStore } from "./message-store.ts";
import type { StreamSettings } from "./stream-settings.ts";
import { isPublishable, overlaps } from "./subject-pattern.ts";

/** A message that is to be stored. */
export interface Write {
  readonly subject: string;
  readonly headers: string;
  readonly data: Uint8Array;
}

/** What storing a message does besides. */
export interface AcceptedWrite extends Write {
  /** It replaces all earlier messages of its subject, or of the stream. */
  readonly rollup: "sub" | "all" | undefined;
  /** The subject of a schedule that goes with it. */
  readonly cancels: string | undefined;
  /** When it is to be sent, if it is a schedule. */
  readonly dueAt: number | undefined;
  /** How long it lives; 0 for ever. */
  readonly timeToLiveMs: number;
}

/** What a check came to. */
export type Checked =
  | { readonly ok: true; readonly write: AcceptedWrite }
  | { readonly ok: false; readonly refusal: ApiRefusal };

const EXPECT_STREAM = "Nats-Expected-Stream";
const EXPECT_LAST = "Nats-Expected-Last-Sequence";
const SCHEDULE_TTL = "Nats-Schedule-TTL";
const SCHEDULE_ROLLUP = "Nats-Schedule-Rollup";
const INSTANT = /^@at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

interface Checking extends Write {
  readonly settings: StreamSettings;
  readonly store: MessageStore;
}

type Check = (checking: Checking) => ApiRefusal | undefined;

/** A single server looks at the time to live last, replicated ones before they propose the write. */
const ORDER_OF_ONE: readonly Check[] = [
  ...[checkStream, checkSubjectGuard, checkLastGuard, checkSchedule, checkCancel, checkRollup],
  checkTimeToLive,
];
const ORDER_OF_MANY: readonly Check[] = [
  ...[checkStream, checkTimeToLive, checkLastGuard, checkSubjectGuard, checkSchedule, checkCancel],
  checkRollup,
];

/** Checks a message before it is stored. */
export function checkWrite(settings: StreamSettings, store: MessageStore, write: Write): Checked {
  const { subject, headers, data } = write;
  for (const check of settings.replicas > 1 ? ORDER_OF_MANY : ORDER_OF_ONE) {
    const refusal = check({ settings, store, subject, headers, data });
    if (refusal) return { ok: false, refusal };
  }
  const isSchedule = headerValue(headers, HEADERS.schedule) !== undefined;
  const asked = headerValue(headers, HEADERS.rollup)?.toLowerCase() as "sub" | "all" | undefined;
  const isReplacing = isSchedule && asked === undefined;
  const isCancel = headerValue(headers, HEADERS.scheduleNext) === "purge";
  return {
    ok: true,
    write: {
      subject,
      data,
      // The server writes into a schedule that it replaces the one before it.
      headers: isReplacing ? withHeader(headers, HEADERS.rollup, "sub") : headers,
      rollup: isReplacing ? "sub" : asked,
      cancels: isCancel ? headerValue(headers, HEADERS.scheduler) : undefined,
      dueAt: isSchedule ? readInstant(headerValue(headers, HEADERS.schedule)) : undefined,
      timeToLiveMs: readTimeToLive(headerValue(headers, HEADERS.timeToLive)) ?? 0,
    },
  };
}

/** Milliseconds since the epoch of `@at <instant>`, to the microsecond. */
function readInstant(pattern = ""): number | undefined {
  if (!INSTANT.test(pattern)) return undefined;
  const text = pattern.slice("@at ".length);
  const fraction = /\.\d+/.exec(text)?.[0] ?? "";
  const whole = Date.parse(text.replace(fraction, ""));
  return Number.isNaN(whole) ? undefined : whole + Number(`0${fraction}`) * 1e3;
}

/** 0 for none or for ever; nothing when it cannot be read. */
function readTimeToLive(text: string | undefined): number | undefined {
  if (text === undefined || text.toLowerCase() === "never") return 0;
  const plain = /^(\d+)s?$/.exec(text);
  if (plain) return plain[1] === "0" && text !== "0" ? undefined : Number(plain[1]) * 1e3;
  const scales: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.map(([part]) => part).join("") !== text || parts.length === 0) return undefined;
  const ms = parts.reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (scales[unit] ?? 0),
    0,
  );
  return ms < 1e3 ? undefined : Math.floor(ms / 1e3) * 1e3;
}

function checkStream({ settings, headers }: Checking): ApiRefusal | undefined {
  const stream = headerValue(headers, EXPECT_STREAM);
  if (stream !== undefined && stream !== settings.name) return refusalOf(10060);
  const timeToLive = headerValue(headers, HEADERS.timeToLive);
  const isNone = timeToLive === undefined || readTimeToLive(timeToLive) === 0;
  return isNone || settings.allowsTimeToLive ? undefined : refusalOf(10166);
}

function checkTimeToLive({ headers }: Checking): ApiRefusal | undefined {
  const isReadable = readTimeToLive(headerValue(headers, HEADERS.timeToLive)) !== undefined;
  return isReadable ? undefined : refusalOf(10165);
}

function checkSubjectGuard({ store, subject, headers }: Checking): ApiRefusal | undefined {
  const expected = headerValue(headers, HEADERS.expectSequence);
  const guarded = headerValue(headers, HEADERS.expectSubject);
  if (expected === undefined) return guarded === undefined ? undefined : refusalOf(10193);
  const last = store.last(guarded ?? subject)?.sequence ?? 0;
  return last === Number(expected) ? undefined : wrongLast(last);
}

function checkLastGuard({ store, headers }: Checking): ApiRefusal | undefined {
  const expected = headerValue(headers, EXPECT_LAST);
  const isMet = expected === undefined || Number(expected) === store.lastSequence;
  return isMet ? undefined : wrongLast(store.lastSequence);
}

function wrongLast(last: number): ApiRefusal {
  return refusalOf(10071, `wrong last sequence: ${last}`);
}

function checkRollup({ settings, headers }: Checking): ApiRefusal | undefined {
  const isSchedule = headerValue(headers, HEADERS.schedule) !== undefined;
  const rollup = headerValue(headers, HEADERS.rollup)?.toLowerCase();
  if (rollup === undefined && !isSchedule) return undefined;
  if (!settings.allowsRollup) return refusalOf(10111);
  if (rollup === undefined || rollup === "sub" || rollup === "all") return undefined;
  return refusalOf(10111, `rollup value invalid: "${rollup}"`);
}

function checkSchedule({ settings, subject, headers }: Checking): ApiRefusal | undefined {
  const pattern = headerValue(headers, HEADERS.schedule);
  if (pattern === undefined) return undefined;
  if (!settings.allowsSchedules) return refusalOf(10188);
  if (readInstant(pattern) === undefined) return refusalOf(10189);
  const timeToLive = headerValue(headers, SCHEDULE_TTL);
  if (readTimeToLive(timeToLive) === undefined) return refusalOf(10191);
  const firedRollup = headerValue(headers, SCHEDULE_ROLLUP)?.toLowerCase();
  if (firedRollup !== undefined && firedRollup !== "sub") return refusalOf(10192);
  if (timeToLive !== undefined && !settings.allowsTimeToLive) return refusalOf(10166);
  const target = headerValue(headers, HEADERS.scheduleTarget);
  if (target === undefined || !isPublishable(target) || target === subject) return refusalOf(10190);
  if (!settings.subjects.some((pattern) => overlaps(pattern, target))) return refusalOf(10190);
  const rollup = headerValue(headers, HEADERS.rollup)?.toLowerCase();
  return rollup !== undefined && rollup !== "sub" ? refusalOf(10192) : undefined;
}

function checkCancel({ settings, store, subject, headers }: Checking): ApiRefusal | undefined {
  const next = headerValue(headers, HEADERS.scheduleNext);
  const scheduler = headerValue(headers, HEADERS.scheduler);
  if (next === undefined) return scheduler === undefined ? undefined : refusalOf(10212);
  const isValid = next === "purge" && scheduler !== undefined && scheduler !== subject;
  if (!isValid || !isPublishable(scheduler)) return refusalOf(10212);
  if (!settings.allowsSchedules) return refusalOf(10188);
  const found = store.last(scheduler);
  const isSchedule = !found || headerValue(found.headers, HEADERS.schedule) !== undefined;
  return isSchedule ? undefined : refusalOf(10212);
}
