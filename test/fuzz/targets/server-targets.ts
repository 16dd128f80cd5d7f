/** What servers answer, and what others may answer in their place. */

import { taskOf } from "../../../engine/doctor/consumers.ts";
import { engineIn } from "../../../engine/doctor/processes.ts";
import { settingIn } from "../../../engine/doctor/sync.ts";
import { readRecord } from "../../../engine/lead.ts";
import { nameIn } from "../../../engine/payload-sweep.ts";
import { IncompatibleSetupError, UnavailableError } from "../../../shared/errors.ts";
import { beginningOf } from "../../../shared/history-reader.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { parseDelivery } from "../../../shared/jetstream/delivery.ts";
import { decodeHeaders, encodeHeaders } from "../../../shared/jetstream/headers.ts";
import { parseAcknowledgement } from "../../../shared/jetstream/publish-ack.ts";
import type { RequestOptions, Requests } from "../../../shared/jetstream/requests.ts";
import {
  DirectMessage,
  LeaderMessage,
  parseTime,
} from "../../../shared/jetstream/stored-message.ts";
import { parseLease } from "../../../shared/leases.ts";
import { keepEndedMsOf, parseSetup } from "../../../shared/setup.ts";
import { parseNote } from "../../../shared/undecodable.ts";
import type { Random } from "../../chaos/random.ts";
import { changed, noise } from "../inputs/bytes.ts";
import { mutatedText, text, word } from "../inputs/texts.ts";
import { json, mutated, number } from "../inputs/values.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

const utf8 = new TextEncoder();

/** JSON that is what it should be, nearly, or not at all. */
function jsonBody(random: Random, good: unknown): Uint8Array {
  const chance = random.next();
  if (chance < 0.05) return noise(random);
  if (chance < 0.15) return utf8.encode(JSON.stringify(json(random)) ?? "");
  const written = JSON.stringify(
    chance < 0.4 ? good : mutated(random, good, () => json(random, 2)),
  );
  const body = utf8.encode(chance < 0.8 ? written : mutatedText(random, written ?? ""));
  return chance < 0.95 ? body : changed(random, body);
}

function acknowledgement(random: Random): Uint8Array {
  if (random.chance(0.3))
    return utf8.encode(mutatedText(random, `{"stream":"S", "seq":${random.whole(0, 2 ** 52)}}`));
  const digits = random.chance(0.002) ? "1".repeat(900_000) : "17";
  return jsonBody(
    random,
    random.pick([
      { stream: "S", seq: 5 },
      { stream: "S", seq: 5, duplicate: true, domain: "d" },
      { error: { code: 400, err_code: 10071, description: `wrong last sequence: ${digits} x` } },
      { error: { code: 503, err_code: 10164, description: text(random) } },
    ]),
  );
}

const NAMES = ["Nats-Sequence", "Nats-Subject", "Nats-Time-Stamp", "Contrail-Beginning", "A"];

function headerBytes(random: Random): Uint8Array {
  const list = Array.from({ length: random.whole(0, 4) }, () => {
    const value = random.chance(0.5) ? String(number(random)) : text(random);
    return [random.pick(NAMES), value.replace(/[\r\n]/g, "")] as const;
  });
  const good = encodeHeaders(list);
  const status = utf8.encode(`NATS/1.0 ${random.pick(["404 No Messages", "-1", "x"])}\r\n\r\n`);
  return random.pick([good, changed(random, good), status, changed(random, status), noise(random)]);
}

/** Asks nobody, and gives the answer to whoever asked. */
function answering(data: Uint8Array): Requests {
  return {
    ask: async ({ receive }: RequestOptions) => {
      const said = receive({ data, headers: decodeHeaders(new Uint8Array()) });
      if (said === "again") throw new UnavailableError("No server answers.");
    },
  } as unknown as Requests;
}

const SETUP = {
  metadata: {
    "contrail.format": "1",
    "contrail.shards": "4",
    "contrail.claim-timeout-ms": "10000",
    "contrail.keep-ended-ms": "3600000",
  },
};
const LEASE = {
  ...{ worker: "w", host: "h", pid: 1, pool: "durable", capacity: 3, at: "2026-01-01T00:00:00Z" },
  held: [{ task: "a", run: "b", since: "2026-01-01T00:00:00Z" }],
};
const NOTE = {
  ...{ stream: "ns_LOG_0", sequence: 7, subject: "ns.log.0.a.b.h", problem: "not CBOR" },
  ...{ fate: "It is passed over.", by: "engine e", at: "2026-01-01T00:00:00Z" },
};
const VARZ = {
  server_name: "n",
  jetstream: { config: { sync_interval: 1e11, sync_always: true } },
};

function isTextOrNothing(value: unknown): void {
  hold(value === undefined || typeof value === "string", "neither a text nor nothing");
}

/** The targets of what servers and strangers say. */
export const serverTargets: readonly Target[] = [
  target({
    name: "server/acknowledgement",
    covers: ["shared/jetstream/publish-ack.ts parseAcknowledgement"],
    make: acknowledgement,
    check(data) {
      const read = parseAcknowledgement(data);
      const parsed = attempt(
        () => JSON.parse(Buffer.from(data).toString()) as unknown,
        SyntaxError,
      );
      if (parsed === REFUSED || !read?.ok) return;
      const { stream, seq } = parsed as { stream?: unknown; seq?: unknown };
      if (Number.isSafeInteger(seq)) hold(read.sequence === seq, "another sequence than by JSON");
      // Names of streams have neither escapes nor letters of other alphabets.
      if (/^[\w-]+$/.test(String(stream))) hold(read.stream === stream, "another stream");
    },
  }),
  target({
    name: "server/api",
    covers: ["shared/jetstream/api.ts callApi"],
    make: (random) =>
      jsonBody(random, random.pick([{ error: { code: 404, err_code: 10014 } }, { config: {} }])),
    async check(data) {
      try {
        hold(typeof (await callApi(answering(data), "X", undefined)) === "object", "no answer");
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
      }
    },
  }),
  target({
    name: "server/delivery",
    covers: ["shared/jetstream/delivery.ts parseDelivery"],
    make: (random) => mutatedText(random, "$JS.ACK.S.C.1.2.3.1700000000000000000.4"),
    check(reply) {
      const info = parseDelivery(reply);
      if (info)
        hold(typeof info.stream === "string" && typeof info.consumer === "string", "no name");
    },
  }),
  target({
    name: "server/headers",
    covers: ["shared/jetstream/headers.ts decodeHeaders", "shared/history-reader.ts beginningOf"],
    make: (random) => ({
      bytes: headerBytes(random),
      name: random.chance(0.8) ? "A" : text(random),
    }),
    check({ bytes, name }) {
      const headers = decodeHeaders(bytes);
      hold(Number.isInteger(headers.status), "a status that is no number");
      hold(typeof headers.description === "string", "a description that is no text");
      for (const value of [headers.get(name), headers.last(name)])
        hold(value === undefined || typeof value === "string", "a value that is no text");
      const message = new DirectMessage({ headers, data: bytes });
      hold(typeof message.subject === "string" && typeof message.timeMs === "number", "no message");
      const beginning = beginningOf({ headers, sequence: 9 });
      hold(beginning >= 0 && beginning <= 9, `a history that begins at ${beginning}`);
    },
  }),
  target({
    name: "server/stored-message",
    covers: ["shared/jetstream/stored-message.ts parseTime"],
    make: (random) => ({
      time: random.chance(0.5)
        ? text(random)
        : mutatedText(random, "2026-01-01T00:00:00.123456789Z"),
      headers: Buffer.from(headerBytes(random)).toString("base64"),
    }),
    check({ time, headers }) {
      hold(typeof parseTime(time) === "number", "a time that is no number");
      const message = new LeaderMessage({ subject: "s", seq: 1, hdrs: headers, data: time, time });
      hold(
        typeof message.timeMs === "number" && message.headers.get("B") === undefined,
        "no message",
      );
    },
  }),
  target({
    name: "server/setup",
    covers: ["shared/setup.ts parseSetup", "shared/setup.ts keepEndedMsOf"],
    make: (random) =>
      mutated(random, SETUP, () => random.pick([json(random, 1), "1e300", word(random)])),
    check(config) {
      const given = (typeof config === "object" && config !== null ? config : {}) as never;
      const setup = attempt(() => parseSetup("ns", "S", given), IncompatibleSetupError);
      if (setup !== REFUSED) hold(setup.shardCount > 0 && setup.shardCount <= 64, "no shards");
      hold(keepEndedMsOf(given) >= 0, "a keep time below zero");
    },
  }),
  target({
    name: "server/lease",
    covers: ["shared/leases.ts parseLease"],
    make: (random) => jsonBody(random, LEASE),
    check(data) {
      const lease = parseLease(data);
      for (const slot of lease?.held ?? []) hold(typeof slot.run === "string", "a slot of no run");
    },
  }),
  target({
    name: "server/undecodable",
    covers: ["shared/undecodable.ts parseNote"],
    make: (random) => jsonBody(random, NOTE),
    check(data) {
      const note = parseNote(data);
      if (!note) return;
      hold(Number.isSafeInteger(note.sequence), "a note of no sequence");
      for (const field of [note.stream, note.subject, note.problem, note.fate, note.by, note.at])
        hold(typeof field === "string", "a note whose fields are no texts");
    },
  }),
  target({
    name: "server/lead",
    covers: ["engine/lead.ts readRecord"],
    make: (random) => jsonBody(random, { engine: "e", name: "n", since: "2026-01-01T00:00:00Z" }),
    check(data) {
      const record = readRecord({ data });
      for (const field of record ? [record.engine, record.name, record.since] : [])
        hold(typeof field === "string", "a record whose fields are no texts");
    },
  }),
  target({
    name: "server/varz",
    covers: ["engine/doctor/sync.ts parseVarz", "engine/doctor/sync.ts settingIn"],
    make: (random) => jsonBody(random, { data: VARZ }),
    check(data) {
      const setting = settingIn(data);
      if (setting) hold(typeof setting.intervalMs === "number", "an interval that is no number");
    },
  }),
  target({
    name: "server/engines",
    covers: ["engine/doctor/processes.ts engineIn"],
    make: (random) => jsonBody(random, { metadata: { engine: "e" } }),
    check: (data) => isTextOrNothing(engineIn(data)),
  }),
  target({
    name: "server/payloads",
    covers: ["engine/payload-sweep.ts nameIn"],
    make: (random) => jsonBody(random, { name: "a/b/c", size: 1 }),
    check: (data) => isTextOrNothing(nameIn(data)),
  }),
  target({
    name: "server/consumers",
    covers: ["engine/doctor/consumers.ts taskOf"],
    make: (random) => ({
      name: mutatedText(random, "task-a_2eb"),
      description: mutatedText(random, 'Tokens of task "a.b"'),
    }),
    check({ name, description }) {
      isTextOrNothing(taskOf({ name, config: { description } as never }));
      isTextOrNothing(taskOf({ name, config: {} as never }));
    },
  }),
];
