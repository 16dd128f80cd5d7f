/** The server this connection stands to, and what the account may use. */
import { IncompatibleSetupError } from "../../shared/errors.ts";
import { type AccountInfo, accountInfo } from "../../shared/jetstream/admin.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { isOlder, OLDEST_SERVER } from "../setup.ts";
import type { Finding, Verdict } from "./findings.ts";

/** From this share of a limit on it is worth a word. */
const NEAR_LIMIT = 0.8;
const ANSWER_MS = 5_000;

/** Whether the server is new enough. */
export function findServer({ serverVersion, maxPayload, nc }: NatsLink): Finding {
  const { server_name: name, cluster } = nc.info ?? {};
  const address = nc.getServer();
  const isOld = isOlder(serverVersion, OLDEST_SERVER);
  const where = `nats-server ${serverVersion} at ${address}${cluster ? ` of cluster ${cluster}` : ""}`;
  return {
    check: "server",
    verdict: isOld ? "problem" : "ok",
    message: isOld
      ? `${where} is too old: Contrail needs ${OLDEST_SERVER} or newer, which fires scheduled messages reliably. Update it.`
      : `${where}; messages have up to ${bytesText(maxPayload)}.`,
    details: { version: serverVersion, oldest: OLDEST_SERVER, address, name, cluster, maxPayload },
  };
}

/** What the account may use, and how much of it is used. */
export async function findLimits(link: NatsLink): Promise<Finding[]> {
  try {
    return [limitsFinding(await accountInfo(link.requests, { withinMs: ANSWER_MS }))];
  } catch (error) {
    if (!(error instanceof IncompatibleSetupError)) throw error;
    return [{ check: "limits", verdict: "problem", message: error.message, details: {} }];
  }
}

function limitsFinding(info: AccountInfo): Finding {
  const { limits } = info;
  const uses = [
    { name: "disk", used: info.storageBytes, limit: limits.storageBytes, show: bytesText },
    { name: "memory", used: info.memoryBytes, limit: limits.memoryBytes, show: bytesText },
    { name: "streams", used: info.streamCount, limit: limits.streams, show: String },
    { name: "consumers", used: info.consumerCount, limit: limits.consumers, show: String },
  ];
  let verdict: Verdict = "ok";
  const texts = uses.map(({ name, used, limit, show }) => {
    if (limit < 0) return `${name} ${show(used)}, no limit`;
    if (used >= limit) verdict = "problem";
    else if (used >= limit * NEAR_LIMIT && verdict === "ok") verdict = "note";
    return `${name} ${show(used)} of ${show(limit)}`;
  });
  const advice = {
    ok: "",
    note: " A limit is near: what is written at a limit is refused.",
    problem: " A limit is reached, and writes are refused: raise it, or remove something.",
  }[verdict as "ok" | "note" | "problem"];
  return {
    check: "limits",
    verdict,
    message: `JetStream (API level ${info.apiLevel}) uses ${texts.join("; ")}, for this account.${advice}`,
    details: { ...info },
  };
}

/** A number of bytes as people read it. */
export function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
