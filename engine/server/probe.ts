/** Asks a server whether it is there, in the few lines of the NATS protocol that this takes. */
import { connect } from "node:net";

/** Which server to ask, and how long to wait for each answer, in milliseconds. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

/**
 * How far a server has come: nothing listens (`down`), it accepts clients (`listening`), or its
 * JetStream answers too (`ready`; in a cluster it then has a leader for streams). A server that asks
 * for a password is not asked further and counts as ready.
 */
export type ServerStage = "down" | "listening" | "ready";

const QUESTION = [
  'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"probe","version":"1"}',
  "SUB _INBOX.contrail.probe 1",
  "PUB $JS.API.INFO _INBOX.contrail.probe 0",
  "",
  "",
].join("\r\n");

/** Asks once over a connection of its own. Never throws. */
export function probeServer({ host, port, timeoutMs }: ProbeTarget): Promise<ServerStage> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let heard = "";
    let isAsked = false;
    const end = (stage: ServerStage): void => {
      socket.destroy();
      resolve(stage);
    };
    socket.setEncoding("utf8");
    socket.setTimeout(timeoutMs, () => end(isAsked ? "listening" : "down"));
    socket.on("error", () => end(isAsked ? "listening" : "down"));
    socket.on("close", () => end(isAsked ? "listening" : "down"));
    socket.on("data", (text: string) => {
      heard += text;
      if (!isAsked && /^INFO .*\r\n/.test(heard)) {
        if (/"auth_required":\s*true/.test(heard)) return end("ready");
        isAsked = true;
        socket.write(QUESTION);
      }
      // One line says how long the answer is, the next one is the answer. HMSG means: nobody listens.
      const answer = /\r\nMSG [^\r\n]+\r\n(\{.*\})\r\n/s.exec(heard)?.[1];
      if (answer !== undefined) end(/"error":\s*\{/.test(answer) ? "listening" : "ready");
      else if (/\r\n(?:HMSG|-ERR) /.test(heard)) end("listening");
    });
  });
}
