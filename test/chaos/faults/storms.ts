/** Tokens that are delivered again and again, or to somebody who has no use for them. */
import { callApi } from "../../../shared/jetstream/api.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import type { FaultKind } from "./fault.ts";

const TASKS = ["chaos-job", "chaos-plan"] as const;
/** A token is returned so often: five takeovers in a row would rightly pause its run. */
const RETURNS = 2;

/** A consumer group waits for signs of life for a fraction of the claim timeout. */
const shortWait: FaultKind = {
  family: "storm",
  kind: "short-ack-wait",
  lastsMs: [1_000, 4_000],
  async inject(world, random) {
    const { stream, consumer } = pickConsumer(world, random);
    const path = `CONSUMER.INFO.${stream}.${consumer}`;
    const info = await callApi(world.link.requests, path, {});
    const config = info["config"] as Readonly<Record<string, unknown>> | undefined;
    if (!config) return undefined;
    const ackWaitMs = random.pick([50, 200, 700]);
    await setConsumer(world.link, stream, consumer, { ...config, ack_wait: ackWaitMs * 1e6 });
    return {
      target: `${stream} ${consumer}`,
      detail: { ackWaitMs },
      heal: () => setConsumer(world.link, stream, consumer, config),
    };
  },
};

/** Somebody who hears the deliveries returns tokens that are not his. */
const returnedTokens: FaultKind = {
  family: "storm",
  kind: "return-tokens",
  lastsMs: [1_000, 4_000],
  async inject(world, random) {
    const returned = new Map<string, number>();
    const subscription = world.link.nc.subscribe("_INBOX.>", {
      callback: (error, { reply = "" }) => {
        if (error !== null || !reply.startsWith("$JS.ACK.") || !random.chance(0.6)) return;
        // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>...
        const parts = reply.split(".");
        const key = `${parts.at(-7)} ${parts.at(-4)}`;
        const before = returned.get(key) ?? 0;
        if (before >= RETURNS) return;
        returned.set(key, before + 1);
        world.link.nc.publish(reply, "-NAK");
      },
    });
    return {
      target: "all consumers",
      async heal() {
        subscription.unsubscribe();
        return { tokens: returned.size };
      },
    };
  },
};

/** Somebody takes tokens as a worker does, and then returns them, or never says a word. */
const stolenTokens: FaultKind = {
  family: "storm",
  kind: "steal-tokens",
  lastsMs: [1_000, 3_000],
  async inject(world, random) {
    const { stream, consumer } = pickConsumer(world, random);
    const { nc } = world.link;
    const inbox = `_INBOX.thief-${random.whole(0, 1e9)}`;
    const stolen: string[] = [];
    const subscription = nc.subscribe(inbox, {
      callback: (error, { reply = "" }) => {
        if (error === null && reply.startsWith("$JS.ACK.")) stolen.push(reply);
      },
    });
    const batch = random.whole(1, 8);
    const request = JSON.stringify({ batch, expires: 2_000_000_000 });
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, request, { reply: inbox });
    const isReturned = random.chance(0.5);
    return {
      target: `${stream} ${consumer}`,
      detail: { batch, isReturned },
      async heal() {
        subscription.unsubscribe();
        if (isReturned) for (const reply of stolen) nc.publish(reply, "-NAK");
        return { tokens: stolen.length };
      },
    };
  },
};

/** The consumer group of a task on a shard. */
export function pickConsumer(
  { names }: World,
  random: Random,
): { readonly stream: string; readonly consumer: string } {
  const stream = names.logStream(random.whole(0, names.shardCount - 1));
  return { stream, consumer: names.taskConsumer(random.pick(TASKS)) };
}

async function setConsumer(
  link: NatsLink,
  stream: string,
  consumer: string,
  config: object,
): Promise<unknown> {
  const request = { stream_name: stream, config, action: "update" };
  const answer = await callApi(link.requests, `CONSUMER.CREATE.${stream}.${consumer}`, request);
  return answer.error ?? {};
}

/** The faults of this family. */
export const storms: readonly FaultKind[] = [shortWait, returnedTokens, stolenTokens];
