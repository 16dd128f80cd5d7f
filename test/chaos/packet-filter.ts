/**
 * Loses packets: those of a direction of a port that is held are dropped, whatever they carry. It writes
 * rules for nftables, so it is for a network namespace of one's own and refuses to work in another.
 *
 * F1. The kernel's sets are those of this object as soon as a call has resolved: each call of `nft`
 *     writes them whole, in one transaction, one call after the other. So nothing is left of what has
 *     been released, in whichever order it was held and released, and a call that failed is made good by
 *     the next one.
 */
import { isInNamespace, runSystemCommand } from "./network.ts";
import type { Direction } from "./weather.ts";

const TABLE = "ip chaos";
const DIRECTIONS: readonly Direction[] = ["up", "down"];

/**
 * Rules that drop nothing yet. They see packets as they come in, behind the loopback interface: who sends
 * one must not notice that it is lost.
 */
export const EMPTY_RULES: string = [
  `add table ${TABLE}; delete table ${TABLE}; table ${TABLE} {`,
  ...DIRECTIONS.map((direction) => `set ${direction} { type inet_service; };`),
  ...DIRECTIONS.map((direction) => `counter ${direction} { };`),
  "chain arriving { type filter hook input priority 0;",
  "tcp dport @up counter name up drop; tcp sport @down counter name down drop; }; }",
].join(" ");

/** The rules of a network namespace. */
export class PacketFilter {
  readonly #held: { readonly [D in Direction]: Set<number> } = { up: new Set(), down: new Set() };
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor() {}

  /** Sets the rules up; nothing is dropped yet. */
  static async open(): Promise<PacketFilter> {
    if (!isInNamespace())
      throw new Error("Packets may be dropped only in a network namespace of one's own.");
    await nft(EMPTY_RULES);
    return new PacketFilter();
  }

  /**
   * Drops what travels to a port (`up`) or from it (`down`), or lets it pass again. Resolves when it is
   * so. Calls that are made at once come to one call of `nft`.
   */
  hold(direction: Direction, port: number, isHeld: boolean): Promise<void> {
    if (isHeld) this.#held[direction].add(port);
    else this.#held[direction].delete(port);
    this.#next ??= this.#last.then(() => this.#write());
    return this.#next;
  }

  /** How many packets have been dropped. */
  async dropped(): Promise<{ readonly [D in Direction]: number }> {
    const counts = { up: 0, down: 0 };
    const listed = JSON.parse(await nft(`list counters table ${TABLE}`, "--json")) as {
      readonly nftables: readonly {
        readonly counter?: { readonly name: Direction; readonly packets: number };
      }[];
    };
    for (const { counter } of listed.nftables) if (counter) counts[counter.name] = counter.packets;
    return counts;
  }

  #write(): Promise<void> {
    this.#next = undefined;
    const commands = DIRECTIONS.flatMap((direction) => {
      const ports = [...this.#held[direction]];
      const flush = `flush set ${TABLE} ${direction}`;
      if (ports.length === 0) return [flush];
      return [flush, `add element ${TABLE} ${direction} { ${ports.join(", ")} }`];
    });
    const written = nft(commands.join("; ")).then(() => {});
    this.#last = written.catch(() => {}); // whoever asked for it is told
    return written;
  }
}

async function nft(script: string, ...options: string[]): Promise<string> {
  const { stdout, failure } = await runSystemCommand("nft", [...options, script]);
  if (failure !== undefined) throw new Error(`nft ${script}: ${failure}`);
  return stdout;
}
