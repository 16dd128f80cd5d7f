/**
 * TCP proxies between the processes of a chaos run: everything that travels between two of them can
 * be held up, slowed down, cut off, or (writes to a server) sent twice. They work on every machine, with
 * one process and without rights. In a network namespace a packet filter loses the packets of what is
 * held up; the rest is the proxies' there, too.
 */
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { FrameRepeater } from "./frames.ts";
import type { PacketFilter } from "./packet-filter.ts";
import { combined, type Direction, type Weather } from "./weather.ts";

/** How a proxy is opened. */
export interface ProxyOptions {
  /** Whether those who connect speak the client protocol, or are servers. */
  readonly isForClients: boolean;
  /** Loses the packets of what is held up. Without one the proxy holds the bytes back. */
  readonly filter?: PacketFilter | undefined;
}

const DIRECTIONS: readonly Direction[] = ["up", "down"];

/** A proxy in front of one port. */
export class TcpProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #options: ProxyOptions;
  readonly #pipes: Set<Pipe> = new Set();
  /** What the faults that last now do to each direction. */
  readonly #weather: { readonly [D in Direction]: Weather[] } = { up: [], down: [] };
  /** How many faults refuse new connections. */
  #refusals = 0;

  private constructor(server: Server, targetPort: number, options: ProxyOptions) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.#options = options;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Listens on a free port of this machine. */
  static async open(targetPort: number, options: ProxyOptions): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true });
    const proxy = new TcpProxy(server, targetPort, options);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { readonly port: number }).port;
  }

  /**
   * Adds to the weather of one direction, for open connections and new ones: faults that last at the same
   * time do not undo each other. Resolves when it is in effect.
   */
  async add(direction: Direction, weather: Weather): Promise<void> {
    const wasHeld = this.#now(direction).isHeld;
    this.#weather[direction].push(weather);
    await this.#apply(direction, wasHeld !== this.#now(direction).isHeld);
  }

  /** Takes away what was added, once. Resolves when that is in effect. */
  async remove(direction: Direction, weather: Weather): Promise<void> {
    const all = this.#weather[direction];
    const index = all.indexOf(weather);
    if (index < 0) return; // all of it was cleared
    const wasHeld = this.#now(direction).isHeld;
    all.splice(index, 1);
    await this.#apply(direction, wasHeld !== this.#now(direction).isHeld);
  }

  /** Ends all connections; with `isRefusing` new ones are ended, too, until `accept` is called as often. */
  cut(isRefusing: boolean): void {
    if (isRefusing) this.#refusals++;
    for (const pipe of this.#pipes) pipe.destroy();
  }

  /** Undoes one refusing cut. */
  accept(): void {
    this.#refusals = Math.max(0, this.#refusals - 1);
  }

  /** Lets everything pass again, whatever lasts. */
  async clear(): Promise<void> {
    this.#refusals = 0;
    for (const direction of DIRECTIONS) this.#weather[direction].length = 0;
    await Promise.all(DIRECTIONS.map((direction) => this.#apply(direction, true)));
  }

  close(): Promise<void> {
    this.cut(true);
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #now(direction: Direction): Weather {
    return combined(this.#weather[direction]);
  }

  /** What is left to the pipes: what is held up is none of theirs where packets are lost. */
  #forPipes(direction: Direction): Weather {
    const weather = this.#now(direction);
    return this.#options.filter ? { ...weather, isHeld: false } : weather;
  }

  async #apply(direction: Direction, isHoldChanged: boolean): Promise<void> {
    const weather = this.#forPipes(direction);
    for (const pipe of this.#pipes) if (pipe.direction === direction) pipe.set(weather);
    const isHeld = this.#now(direction).isHeld === true;
    if (isHoldChanged) await this.#options.filter?.hold(direction, this.port, isHeld);
  }

  #accept(client: Socket): void {
    if (this.#refusals > 0) {
      client.destroy();
      return;
    }
    const server = dial({ host: "127.0.0.1", port: this.#targetPort });
    const pipes = [
      new Pipe("up", [client, server], this.#forPipes("up"), this.#options.isForClients),
      new Pipe("down", [server, client], this.#forPipes("down"), false),
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

/** The weather of one direction of a way. */
export interface Disturbance {
  readonly way: TcpProxy;
  readonly direction: Direction;
  readonly weather: Weather;
}

/** Disturbs several ways at once. @returns What undoes exactly that. */
export async function disturb(all: readonly Disturbance[]): Promise<() => Promise<void>> {
  // Two faults may have one weather: each is known by an object of its own.
  const own = all.map((each) => ({ ...each, weather: { ...each.weather } }));
  const undo = async (): Promise<void> => {
    await Promise.all(own.map(({ way, direction, weather }) => way.remove(direction, weather)));
  };
  try {
    await Promise.all(own.map(({ way, direction, weather }) => way.add(direction, weather)));
  } catch (error) {
    await undo().catch(() => {}); // what made the first call fail is what is told
    throw error;
  }
  return undo;
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
    if (this.#isStill) this.#from.pause();
    else this.#send();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#from.destroy();
    this.#to.destroy();
  }

  get #isStill(): boolean {
    return this.#weather.isHeld === true || this.#weather.isUnread === true;
  }

  #take(bytes: Buffer): void {
    const dueAt = performance.now() + (this.#weather.delayMs ?? 0);
    this.#waiting.push({ dueAt, bytes: this.#frames?.pass(bytes) ?? bytes });
    if (this.#waiting.length === 1) this.#send();
  }

  #send(): void {
    clearTimeout(this.#timer);
    if (this.#isStill) return;
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
    if (this.#isStill || this.#to.destroyed) return;
    if (this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }
}
