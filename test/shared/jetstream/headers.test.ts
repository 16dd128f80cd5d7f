import { headers as clientHeaders } from "@nats-io/transport-node";
import test from "ava";
import { InvalidInputError } from "../../../shared/errors.ts";
import {
  asClientHeaders,
  decodeHeaders,
  encodeHeaders,
  headersOf,
} from "../../../shared/jetstream/headers.ts";
import { startTestServer, type TestServer, type TestTopology } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, openLink, text } from "./fixtures.ts";

let server: TestServer & TestTopology;
test.before(async () => {
  server = await startTestServer();
});
test.after.always(() => server.stop());

test("a header list is written as the server expects it", (t) => {
  const encoded = encodeHeaders([
    ["A", "1"],
    ["b-C", "ü"],
  ]);
  t.is(text(encoded), "NATS/1.0\r\nA: 1\r\nb-C: ü\r\n\r\n");
  t.is(text(encodeHeaders([])), "NATS/1.0\r\n\r\n");
});

test("a header with a line break is refused", (t) => {
  for (const [name, value] of [
    ["A", "1\r\nNats-Rollup: all"],
    ["A", "1\n"],
    ["A\r", "1"],
  ] as const)
    t.throws(() => encodeHeaders([[name, value]]), { instanceOf: InvalidInputError });
});

test("received headers give the first and the last value of a name", (t) => {
  const headers = decodeHeaders(bytes("NATS/1.0\r\nA: 1\r\nB:2 \r\nA: 3\r\nAA: 4\r\n\r\n"));
  t.is(headers.get("A"), "1");
  t.is(headers.last("A"), "3");
  t.is(headers.get("B"), "2");
  t.is(headers.get("AA"), "4");
  t.is(headers.get("a"), undefined);
  t.is(headers.last("C"), undefined);
  t.is(headers.status, 0);
  t.false(headers.isEmpty);
});

test("a status message gives its code and description", (t) => {
  const read = (line: string) => {
    const { status, description } = decodeHeaders(bytes(`${line}\r\n\r\n`));
    return [status, description];
  };
  t.deepEqual(read("NATS/1.0 404 Message Not Found"), [404, "Message Not Found"]);
  t.deepEqual(read("NATS/1.0 503"), [503, ""]);
  t.deepEqual(read("NATS/1.0 x"), [0, ""]);
  t.deepEqual(read("NATS/1.0"), [0, ""]);
  const none = decodeHeaders(new Uint8Array(0));
  t.deepEqual([none.status, none.get("A"), none.isEmpty], [0, undefined, true]);
});

test("the client sends prebuilt headers, and those it receives are found in its buffers", async (t) => {
  const link = await openLink(t, server);
  const received: [string | undefined, string | undefined, string, boolean][] = [];
  link.nc.subscribe("été.>", {
    callback: (_, message) => {
      const headers = headersOf(message);
      received.push([headers.get("A"), headers.get("B"), message.string(), headers.isEmpty]);
    },
  });
  const headers = asClientHeaders(
    encodeHeaders([
      ["A", "1"],
      ["B", "ü"],
    ]),
  );
  link.nc.publish("été.a", "payload", { headers, reply: "réponse" });
  link.nc.publish("été.a", "", { headers });
  link.nc.publish("été.a", "payload");
  // Larger than what one read of the socket returns, so the message is put together from parts.
  link.nc.publish("été.a", "x".repeat(300_000), { headers });
  await until(() => received.length === 4);
  t.deepEqual(received, [
    ["1", "ü", "payload", false],
    ["1", "ü", "", false],
    [undefined, undefined, "payload", true],
    ["1", "ü", "x".repeat(300_000), false],
  ]);
});

test("headers of a message that is not the client's own are read the slow way", (t) => {
  const own = clientHeaders();
  own.append("A", "1");
  own.append("A", "2");
  const message = { subject: "a", data: bytes("x"), headers: own } as never;
  t.deepEqual([headersOf(message).get("A"), headersOf(message).last("A")], ["1", "2"]);
  t.true(headersOf({ subject: "a", data: bytes("x") } as never).isEmpty);
  const status = {
    subject: "a",
    data: bytes(""),
    headers: clientHeaders(404, "No Messages"),
  } as never;
  t.deepEqual([headersOf(status).status, headersOf(status).description], [404, "No Messages"]);
});
