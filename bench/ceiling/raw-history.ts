/** Reads a history in as few direct reads as the server allows. */
import type { NatsConnection } from "@nats-io/transport-node";

const END_OF_BATCH = 204;
let count = 0;

/**
 * Reads so many messages of one subject.
 * @throws {Error} When there are fewer.
 */
export async function readHistory(
  nc: NatsConnection,
  stream: string,
  subject: string,
  entries: number,
): Promise<void> {
  let read = 0;
  let from = 1;
  while (read < entries) {
    const page = await readPage(nc, stream, {
      seq: from,
      batch: entries - read,
      next_by_subj: subject,
    });
    if (page.messages === 0) throw new Error(`${subject} has only ${read} entries.`);
    read += page.messages;
    from = page.last + 1;
  }
}

function readPage(
  nc: NatsConnection,
  stream: string,
  request: { readonly seq: number; readonly batch: number; readonly next_by_subj: string },
): Promise<{ readonly messages: number; readonly last: number }> {
  return new Promise((resolve, reject) => {
    const inbox = `_INBOX.${process.pid}h${Date.now().toString(36)}.${count++}`;
    let messages = 0;
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error) reject(error);
        if (message.data.length > 0) {
          messages++;
          return;
        }
        subscription.unsubscribe();
        const { headers } = message;
        if (headers?.code !== END_OF_BATCH) reject(new Error(`${stream}: ${headers?.description}`));
        else resolve({ messages, last: Number(headers.last("Nats-Last-Sequence")) });
      },
    });
    nc.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(request), { reply: inbox });
  });
}
