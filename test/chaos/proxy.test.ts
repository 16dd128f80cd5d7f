import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import test from "ava";
import { until } from "../helpers/until.ts";
import { TcpProxy } from "./proxy.ts";

const HELD = { isHeld: true };

/** A server that repeats what it hears, and somebody who talks to it through a proxy. */
async function echo(): Promise<{
  readonly proxy: TcpProxy;
  readonly socket: Socket;
  readonly heard: () => string;
  readonly close: () => Promise<void>;
}> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const proxy = await TcpProxy.open(port, { isForClients: false });
  const socket = connect({ host: "127.0.0.1", port: proxy.port });
  socket.on("error", () => {});
  let heard = "";
  socket.on("data", (bytes: Buffer) => {
    heard += bytes.toString();
  });
  await once(socket, "connect");
  const close = async (): Promise<void> => {
    socket.destroy();
    await proxy.close();
    server.close();
  };
  return { proxy, socket, heard: () => heard, close };
}

for (const direction of ["up", "down"] as const)
  test(`what is held up on its way ${direction} arrives in order when it passes again`, async (t) => {
    const { proxy, socket, heard, close } = await echo();
    t.teardown(close);
    socket.write("a");
    await until(() => heard() === "a");
    await proxy.add(direction, HELD);
    const other = direction === "up" ? "down" : "up";
    for (const letter of "bcd") socket.write(letter);
    await proxy.add(other, {}); // weather of the other direction changes nothing
    t.is(heard(), "a");
    await proxy.remove(direction, HELD);
    await until(() => heard() === "abcd");
    t.is(heard(), "abcd");
  });

test("of two faults on one way each ends by itself, whichever began first", async (t) => {
  const { proxy, socket, heard, close } = await echo();
  t.teardown(close);
  const late = { delayMs: 20 };
  await proxy.add("up", HELD);
  await proxy.add("up", HELD);
  await proxy.add("up", late);
  socket.write("a");
  await proxy.remove("up", late);
  await proxy.remove("up", HELD);
  // Whoever goes a way of the same kind behind it is there and back.
  const other = await echo();
  t.teardown(other.close);
  other.socket.write("b");
  await until(() => other.heard() === "b");
  t.is(heard(), "");
  await proxy.remove("up", HELD);
  await until(() => heard() === "a");
  await proxy.add("up", HELD);
  await proxy.add("up", HELD);
  socket.write("b");
  await proxy.clear();
  await until(() => heard() === "ab");
  await proxy.remove("up", HELD); // its fault ends later
  socket.write("c");
  await until(() => heard() === "abc");
  t.is(heard(), "abc");
});

test("two cuts of one way are healed one by one", async (t) => {
  const { proxy, close } = await echo();
  t.teardown(close);
  proxy.cut(true);
  proxy.cut(true);
  proxy.accept();
  const refused = connect({ host: "127.0.0.1", port: proxy.port });
  refused.on("error", () => {});
  await until(() => refused.closed);
  proxy.accept();
  const again = connect({ host: "127.0.0.1", port: proxy.port });
  t.teardown(() => again.destroy());
  again.write("hello");
  const [bytes] = (await once(again, "data")) as [Buffer];
  t.is(bytes.toString(), "hello");
});

test("what is late arrives in order", async (t) => {
  const { proxy, socket, heard, close } = await echo();
  t.teardown(close);
  const late = { delayMs: 20 };
  await proxy.add("up", late);
  for (const letter of "abc") socket.write(letter);
  await until(() => heard() === "abc");
  await proxy.remove("up", late);
  socket.write("d");
  await until(() => heard() === "abcd");
  t.is(heard(), "abcd");
});

test("a cut ends connections, and refuses new ones until it is healed", async (t) => {
  const { proxy, socket, close } = await echo();
  t.teardown(close);
  proxy.cut(true);
  await once(socket, "close");
  const refused = connect({ host: "127.0.0.1", port: proxy.port });
  refused.on("error", () => {});
  await once(refused, "close");
  await proxy.clear();
  const again = connect({ host: "127.0.0.1", port: proxy.port });
  t.teardown(() => again.destroy());
  again.write("hello");
  const [bytes] = (await once(again, "data")) as [Buffer];
  t.is(bytes.toString(), "hello");
});
