import test from "ava";
import { parseDelivery } from "../../../shared/jetstream/delivery.ts";

const facts = {
  stream: "LOG",
  consumer: "task-a",
  deliveryCount: 3,
  streamSequence: 120,
  consumerSequence: 7,
  timeMs: 1_795_472_001_930.4937,
  pending: 5,
};

test("a delivery is read from both forms of its reply subject", (t) => {
  const rest = "LOG.task-a.3.120.7.1795472001930493700.5";
  t.deepEqual(parseDelivery(`$JS.ACK.${rest}`), facts);
  t.deepEqual(parseDelivery(`$JS.ACK.hub.ACCOUNT.${rest}`), facts);
  t.deepEqual(parseDelivery(`$JS.ACK._.ACCOUNT.${rest}.random`), facts);
});

test("a reply subject that is no delivery's is none", (t) => {
  t.is(parseDelivery(""), undefined);
  t.is(parseDelivery("_INBOX.a.b.c.d.e.f.g.h"), undefined);
  t.is(parseDelivery("$JS.ACK.LOG.task"), undefined);
});
