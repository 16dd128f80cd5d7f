/**
 * TCP proxies between the processes of a chaos run: everything that travels between two of them can
 * be held up, slowed down, cut off, or (writes to a server) sent twice. It works on every machine, with
 * one process and without rights, which network namespaces do not.
 */
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { FrameRepeater } from "./frames.ts";

/** What happens to the bytes of one direction. */
export interface Weather {
  /** Nothing passes until it is over; nothing is lost either, as TCP would repeat it. */
  readonly isHeld?: boolean;
  /** How much later everything arrives. */
  readonly delayMs?: number;
  /** Every so many writes to a server, one is sent twice. */
  readonly repeatEvery?: number;
}

/** Which way: `up` is from who connects to who listens. */
export type Direction = "up" | "down";

/** A proxy in front of one port. */
export class TcpProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #isForClients: boolean;
  readonly #pipes: Set<Pipe> = new Set();
  readonly #weather: { [D in Direction]: Weather } = { up: {}, down: {} };
  #isRefusing = false;

  private constructor(server: Server, targetPort: number, isForClients: boolean) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.#isForClients = isForClients;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /**
   * Listens on a free port of this machine.
   * @param isForClients Whether those who connect speak the client protocol, or are servers.
   */
  static async open(targetPort: number, isForClients: boolean): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true });
    const proxy = new TcpProxy(server, targetPort, isForClients);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { readonly port: number }).port;
  }

  /** Changes the weather of one direction, for open connections and new ones. */
  set(direction: Direction, weather: Weather): void {
    this.#weather[direction] = weather;
    for (const pipe of this.#pipes) if (pipe.direction === direction) pipe.set(weather);
  }

  /** Ends all connections; with `isRefusing` new ones are ended, too, until it is set back. */
  cut(isRefusing: boolean): void {
    this.#isRefusing = isRefusing;
    for (const pipe of this.#pipes) pipe.destroy();
  }

  /** Lets everything pass again. */
  clear(): void {
    this.#isRefusing = false;
    this.set("up", {});
    this.set("down", {});
  }

  close(): Promise<void> {
    this.cut(true);
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#isRefusing) {
      client.destroy();
      return;
    }
    const server = dial({ host: "127.0.0.1", port: this.#targetPort });
    const pipes = [
      new Pipe("up", [client, server], this.#weather.up, this.#isForClients),
      new Pipe("down", [server, client], this.#weather.down, false),
    ];
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.once("close", () => {
        for (const pipe of pipes) {
          this.#pipes.delete(pipe);
          pipe.destroy();
        }
      });
    }
    for (const pipe of pipes) this.#pipes.add(pipe);
  }
}

class Pipe {
  readonly direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #frames: FrameRepeater | undefined;
  readonly #waiting: { readonly dueAt: number; readonly bytes: Buffer }[] = [];
  #weather: Weather;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    direction: Direction,
    [from, to]: readonly [Socket, Socket],
    weather: Weather,
    hasFrames: boolean,
  ) {
    this.direction = direction;
    this.#from = from;
    this.#to = to;
    this.#weather = weather;
    this.#frames = hasFrames ? new FrameRepeater() : undefined;
    from.on("data", (bytes) => this.#take(bytes));
    from.once("end", () => this.#to.end());
    to.on("drain", () => this.#flow());
    this.set(weather);
  }

  set(weather: Weather): void {
    this.#weather = weather;
    if (this.#frames) this.#frames.every = weather.repeatEvery ?? 0;
    if (weather.isHeld) this.#from.pause();
    else this.#send();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#from.destroy();
    this.#to.destroy();
  }

  #take(bytes: Buffer): void {
    const dueAt = performance.now() + (this.#weather.delayMs ?? 0);
    this.#waiting.push({ dueAt, bytes: this.#frames?.pass(bytes) ?? bytes });
    if (this.#waiting.length === 1) this.#send();
  }

  #send(): void {
    clearTimeout(this.#timer);
    if (this.#weather.isHeld) return;
    for (;;) {
      const next = this.#waiting[0];
      if (!next) break;
      const leftMs = Math.min(next.dueAt - performance.now(), this.#weather.delayMs ?? 0);
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#send(), leftMs);
        break;
      }
      this.#waiting.shift();
      if (!this.#to.destroyed) this.#to.write(next.bytes);
    }
    this.#flow();
  }

  /** Reads on where the other side takes it. */
  #flow(): void {
    if (this.#weather.isHeld || this.#to.destroyed) return;
    if (this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }
}
