/**
 * When acknowledged writes reach the disk, and what that means when the power goes. A plain user is
 * not told: it takes a user of the system account, or a monitoring port.
 */
import { NotPermittedError, UnavailableError } from "../../shared/errors.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { durationText } from "../../shared/time-text.ts";
import type { Finding } from "./findings.ts";

/** Where to look besides the connection itself. */
export interface SyncOptions {
  readonly systemLink: NatsLink | undefined;
  readonly monitors: readonly string[] | undefined;
  /** How many servers hold each message of the log. */
  readonly replicas: number;
}

/** How one server writes. */
export interface SyncSetting {
  readonly server: string;
  readonly isAlways: boolean;
  /** Writes reach the disk within this time. */
  readonly intervalMs: number;
}

const MONITORING_PORT = 8222;
const ANSWER_MS = 1_000;

/** Finds out when writes are synced. */
export async function findSync(
  link: NatsLink,
  options: SyncOptions,
): Promise<{ readonly finding: Finding; readonly settings: readonly SyncSetting[] }> {
  const { systemLink, monitors, replicas } = options;
  const settings = [
    ...(await askServers(systemLink ?? link)),
    ...(await askMonitors(link, monitors)),
  ];
  const unreachable = monitors && settings.length === 0 ? monitors : [];
  return { finding: syncFinding(settings, { replicas, unreachable }), settings };
}

/** What the settings mean. */
export function syncFinding(
  settings: readonly SyncSetting[],
  { replicas, unreachable }: { readonly replicas: number; readonly unreachable: readonly string[] },
): Finding {
  const details = { servers: settings, replicas };
  if (settings.length === 0) {
    const tried =
      unreachable.length > 0 ? ` No monitoring port answers at ${unreachable.join(", ")}.` : "";
    return {
      check: "sync",
      verdict: "unknown",
      message: `Whether writes are synced before they are acknowledged cannot be seen from here.${tried} Start the server with "-m 8222" and use --monitor http://HOST:8222, or give a user of the system account with --system-user or --system-creds; or look for sync_interval in the jetstream block of the server's configuration: without it, a loss of power can lose the acknowledged writes of the last 2 min.`,
      details,
    };
  }
  if (settings.every(({ isAlways }) => isAlways))
    return {
      check: "sync",
      verdict: "ok",
      message: `Writes are synced before they are acknowledged (sync_interval: always): a loss of power loses nothing that was acknowledged.`,
      details,
    };
  const longestMs = Math.max(
    ...settings.map(({ isAlways, intervalMs }) => (isAlways ? 0 : intervalMs)),
  );
  const who =
    replicas === 1
      ? "a loss of power of its machine"
      : `a loss of power of most of the ${replicas} machines that hold a message, at once,`;
  return {
    check: "sync",
    verdict: "note",
    message: `Writes reach the disk within ${durationText(longestMs)} (sync_interval). A server that is killed loses nothing; ${who} can lose acknowledged writes of that time. "sync_interval: always" in the jetstream block prevents it; each write then waits for the disk.`,
    details,
  };
}

/** Asks all servers by the system account. Others get no answer. */
async function askServers(link: NatsLink): Promise<SyncSetting[]> {
  const found: SyncSetting[] = [];
  try {
    await link.requests.ask({
      subject: "$SYS.REQ.SERVER.PING.VARZ",
      payload: "",
      what: "the configuration of the servers",
      withinMs: 1, // every server answers once, and then there is silence
      silenceMs: ANSWER_MS / 2,
      receive: ({ data }) => {
        const setting = settingIn(data);
        if (setting) found.push(setting);
        return "more";
      },
    });
  } catch (error) {
    const isUnanswered =
      error instanceof UnavailableError ||
      error instanceof NotPermittedError ||
      error instanceof SyntaxError;
    if (!isUnanswered) throw error;
  }
  return found;
}

/** What an answer on the system account says; nothing when it is none. */
export function settingIn(data: Uint8Array): SyncSetting | undefined {
  try {
    const answer: unknown = JSON.parse(Buffer.from(data).toString("utf8"));
    return isRecord(answer) ? parseVarz(answer["data"]) : undefined;
  } catch {
    return undefined; // no JSON
  }
}

async function askMonitors(
  link: NatsLink,
  monitors: readonly string[] | undefined,
): Promise<SyncSetting[]> {
  const guess = `http://${hostOf(link.nc.getServer())}:${MONITORING_PORT}`;
  const found = await Promise.all((monitors ?? [guess]).map(askMonitor));
  // Whoever listens on a port that was only guessed may be another server.
  const isOurs = (varz: unknown): boolean =>
    monitors !== undefined || (isRecord(varz) && varz["server_id"] === link.nc.info?.server_id);
  return found.flatMap((varz) => (isOurs(varz) ? (parseVarz(varz) ?? []) : []));
}

async function askMonitor(address: string): Promise<unknown> {
  try {
    const url = new URL("/varz", address);
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    return answer.ok ? await answer.json() : undefined;
  } catch {
    return undefined; // nobody there, or somebody else
  }
}

/** What the server's `varz` says; nothing when it has no JetStream, or the answer is none. */
export function parseVarz(varz: unknown): SyncSetting | undefined {
  if (!isRecord(varz) || !isRecord(varz["jetstream"])) return undefined;
  const { config } = varz["jetstream"];
  const server = varz["server_name"];
  if (!isRecord(config) || typeof config["sync_interval"] !== "number") return undefined;
  if (typeof server !== "string") return undefined;
  return {
    server,
    isAlways: config["sync_always"] === true,
    intervalMs: config["sync_interval"] / 1e6,
  };
}

function hostOf(server: string): string {
  return server.replace(/^[a-z]+:\/\//, "").replace(/:\d+$/, "");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
