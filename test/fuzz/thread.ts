/** A thread that fuzzes. It is ended from outside. */
import { parentPort, workerData } from "node:worker_threads";
import { type CampaignOptions, campaign } from "./campaign.ts";
import type { Target } from "./target.ts";

/** What a thread is given. */
export interface ThreadData extends CampaignOptions {
  /** A module that exports the list `targets`. */
  readonly module: string;
  readonly names: readonly string[];
}

const data = workerData as ThreadData;
const { targets } = (await import(data.module)) as { targets: readonly Target[] };
const chosen = data.names.map((name) => targets.find((target) => target.name === name) as Target);
await campaign(
  chosen,
  data,
  (progress) => parentPort?.postMessage({ progress }),
  (failure) => parentPort?.postMessage({ failure }),
);
