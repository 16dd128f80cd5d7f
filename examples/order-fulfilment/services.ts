/** The outside world of this example. Each call takes a moment, as real services do. */
import { setTimeout as sleep } from "node:timers/promises";

export const payments = {
  /** Sends the key along, so that reserving twice for one order does nothing the second time. */
  async reserve(order: { orderId: string; idempotencyKey: string }): Promise<string> {
    await sleep(300);
    return `payment-${order.orderId}`;
  },
};

export const warehouse = {
  async pack(item: { sku: string }, signal: AbortSignal): Promise<string> {
    await sleep(400, undefined, { signal });
    return `P-${item.sku}`;
  },
};

export const mail = {
  async send(_message: { about: string; idempotencyKey: string }): Promise<void> {
    await sleep(100);
  },
};
