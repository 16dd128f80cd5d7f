/** Examines a server and a namespace: what `contrail doctor` shows. It changes nothing. */
import { IncompatibleSetupError } from "../../shared/errors.ts";
import { connectNats, type NatsLink, type NatsOptions } from "../../shared/jetstream/connection.ts";
import {
  DEFAULT_NAMESPACE,
  FOREVER,
  keepEndedMsOf,
  type NamespaceSetup,
  readSetup,
} from "../../shared/setup.ts";
import { durationText } from "../../shared/time-text.ts";
import { findClock } from "./clock.ts";
import { findConsumers } from "./consumers.ts";
import { durabilityFinding, findReadingMirrors, hostsOf } from "./durability.ts";
import type { Finding } from "./findings.ts";
import { findMessages } from "./messages.ts";
import { findEngines, findWorkers } from "./processes.ts";
import { findRuns } from "./runs.ts";
import { findLimits, findServer } from "./server.ts";
import { findStreams } from "./streams.ts";
import { findSync } from "./sync.ts";

/** Where to look. */
export interface ExamineOptions extends NatsOptions {
  /** @defaultValue "contrail" */
  readonly namespace?: string;
  /**
   * Addresses of monitoring ports, such as `http://host:8222`. Without them port 8222 of the connected
   * server is tried.
   */
  readonly monitors?: readonly string[];
  /** Whether every live run is looked at, which takes seconds for 100,000 of them. Default false. */
  readonly runs?: boolean;
  /** How to connect as a user of the system account, who may see how the servers are configured. */
  readonly system?: Omit<NatsOptions, "servers">;
}

/**
 * Looks at everything, in about a second, and says what it found.
 * @throws {UnavailableError} When no server answers, or the system user is not accepted.
 */
export async function examine(options: ExamineOptions): Promise<Finding[]> {
  const { system, monitors, runs = false, namespace = DEFAULT_NAMESPACE, ...nats } = options;
  const link = await connectNats({ name: "contrail doctor", ...nats });
  const systemLink = system && (await connectSystem(link, { ...system, servers: nats.servers }));
  try {
    const findings = [findServer(link), ...(await findLimits(link))];
    if (findings.some(({ verdict }) => verdict === "problem")) return findings;
    const setup = await setupOf(link, namespace);
    const isSetUp = !("verdict" in setup);
    const config = isSetUp ? await configOf(link, setup) : {};
    const replicas = Number(config["num_replicas"] ?? 1);
    const { finding, settings } = await findSync(link, { systemLink, monitors, replicas });
    findings.push(finding);
    if (!isSetUp) return [...findings, setup];
    findings.push(namespaceFinding(setup, config), ...(await findClock(link, setup.names)));
    const streams = await findStreams(link, setup);
    findings.push(durabilityFinding({ replicas, settings, hosts: hostsOf(link) }));
    findings.push(...(await findReadingMirrors(link, setup)));
    findings.push(...streams, ...(await findUses(link, setup, streams)));
    const isWhole = streams.every(({ details }) => !details["isMissing"]);
    return runs && isWhole ? [...findings, ...(await findRuns(link, setup))] : findings;
  } finally {
    await Promise.all([link.close(), systemLink?.close()]);
  }
}

/** Looks at who uses the streams, as far as they are there: what is missing is told of already. */
async function findUses(
  link: NatsLink,
  setup: NamespaceSetup,
  streams: readonly Finding[],
): Promise<Finding[]> {
  const { names } = setup;
  const missing = new Set(
    streams.flatMap(({ details }) => (details["isMissing"] ? details["stream"] : [])),
  );
  const isThere = (bucket: string): boolean => !missing.has(`KV_${bucket}`);
  const hasSlots = isThere(names.slotsBucket("regular")) && isThere(names.slotsBucket("durable"));
  const uses = await Promise.all([
    findConsumers(link, setup),
    isThere(names.engineBucket) ? findMessages(link, names) : [],
    isThere(names.engineBucket) ? findEngines(link, names) : [],
    hasSlots ? findWorkers(link, names) : [],
  ]);
  return uses.flat();
}

async function connectSystem(link: NatsLink, options: NatsOptions): Promise<NatsLink> {
  try {
    return await connectNats({ name: "contrail doctor", ...options });
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function setupOf(link: NatsLink, namespace: string): Promise<NamespaceSetup | Finding> {
  try {
    return await readSetup(link, namespace);
  } catch (error) {
    if (!(error instanceof IncompatibleSetupError)) throw error;
    const { message } = error;
    return { check: "namespace", verdict: "problem", message, details: { namespace } };
  }
}

function namespaceFinding(
  { namespace, shardCount, claimTimeoutMs }: NamespaceSetup,
  config: LogConfig,
): Finding {
  const keepMs = keepEndedMsOf(config);
  const isForever = !Number.isFinite(keepMs);
  const kept = isForever ? "for ever" : `for ${durationText(keepMs)}`;
  return {
    check: "namespace",
    verdict: "ok",
    message: `Namespace "${namespace}" has ${shardCount} shards; a run whose worker dies goes on elsewhere after ${claimTimeoutMs / 1000} s; ended runs are kept ${kept}.`,
    details: {
      ...{ namespace, shards: shardCount, claimTimeoutMs },
      keepEndedMs: isForever ? FOREVER : keepMs,
    },
  };
}

type LogConfig = Readonly<Record<string, unknown>>;

async function configOf(link: NatsLink, { names }: NamespaceSetup): Promise<LogConfig> {
  return (await link.reader.streamState(names.logStream(0)))?.config ?? {};
}
