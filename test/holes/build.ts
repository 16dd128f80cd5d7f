/** The modules of one build of the project: the product's own, or a mutant's. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** What the scenarios use of a build. */
export interface Build {
  readonly claims: typeof import("../../worker/claims.ts");
  readonly heldRuns: typeof import("../../worker/held-runs.ts");
  readonly slots: typeof import("../../worker/slots.ts");
  readonly warmRuns: typeof import("../../worker/warm-runs.ts");
  readonly workerParts: typeof import("../../worker/worker.ts");
  readonly term: typeof import("../../engine/term.ts");
  readonly connection: typeof import("../../shared/jetstream/connection.ts");
  readonly admin: typeof import("../../shared/jetstream/admin.ts");
  readonly publisher: typeof import("../../shared/jetstream/publisher.ts");
  readonly puller: typeof import("../../shared/jetstream/puller.ts");
  readonly reader: typeof import("../../shared/jetstream/reader.ts");
  readonly requests: typeof import("../../shared/jetstream/requests.ts");
  readonly taskConsumer: typeof import("../../shared/jetstream/task-consumer.ts");
  readonly eventsPosition: typeof import("../../shared/events-position.ts");
  readonly payloads: typeof import("../../shared/payloads.ts");
  readonly serverClock: typeof import("../../shared/server-clock.ts");
  readonly client: typeof import("../../shared/client.ts");
}

const FILES: { readonly [Name in keyof Build]: string } = {
  claims: "worker/claims.js",
  heldRuns: "worker/held-runs.js",
  slots: "worker/slots.js",
  warmRuns: "worker/warm-runs.js",
  workerParts: "worker/worker.js",
  term: "engine/term.js",
  connection: "shared/jetstream/connection.js",
  admin: "shared/jetstream/admin.js",
  publisher: "shared/jetstream/publisher.js",
  puller: "shared/jetstream/puller.js",
  reader: "shared/jetstream/reader.js",
  requests: "shared/jetstream/requests.js",
  taskConsumer: "shared/jetstream/task-consumer.js",
  eventsPosition: "shared/events-position.js",
  payloads: "shared/payloads.js",
  serverClock: "shared/server-clock.js",
  client: "shared/client.js",
};

/** Loads a build from its folder. Each folder is a program of its own, with modules of its own. */
export async function loadBuild(folder: string): Promise<Build> {
  const loaded = await Promise.all(
    Object.entries(FILES).map(async ([name, file]) => [
      name,
      (await import(pathToFileURL(join(folder, file)).href)) as unknown,
    ]),
  );
  return Object.fromEntries(loaded) as Build;
}
