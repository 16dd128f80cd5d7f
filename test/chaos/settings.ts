/** How a chaos run is set up: what does not depend on its options. */

/** Settings of the namespace and of the processes, as run.json tells them. */
export const SETTINGS = {
  namespace: "contrail",
  shards: 2,
  claimTimeoutMs: 2_000,
  slots: { regular: 6, durable: 8 },
  warmRuns: 6,
  workers: 3,
  engines: 2,
  clients: 2,
  /** How many runs each client keeps under way. */
  runsAtOnce: 6,
} as const;
