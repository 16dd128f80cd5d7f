import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import test from "ava";
import { until } from "../helpers/until.ts";
import { TcpProxy } from "./proxy.ts";

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
  const proxy = await TcpProxy.open(port, false);
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
    proxy.set(direction, { isHeld: true });
    const other = direction === "up" ? "down" : "up";
    for (const letter of "bcd") socket.write(letter);
    proxy.set(other, {}); // weather of the other direction changes nothing
    t.is(heard(), "a");
    proxy.set(direction, {});
    await until(() => heard() === "abcd");
    t.is(heard(), "abcd");
  });

test("what is late arrives in order", async (t) => {
  const { proxy, socket, heard, close } = await echo();
  t.teardown(close);
  proxy.set("up", { delayMs: 20 });
  for (const letter of "abc") socket.write(letter);
  await until(() => heard() === "abc");
  proxy.set("up", {});
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
  proxy.clear();
  const again = connect({ host: "127.0.0.1", port: proxy.port });
  t.teardown(() => again.destroy());
  again.write("hello");
  const [bytes] = (await once(again, "data")) as [Buffer];
  t.is(bytes.toString(), "hello");
});
