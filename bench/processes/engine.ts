/** The engine process. */
import { type Engine, type EngineStatus, startEngine } from "../../engine/index.ts";
import { serveCalls } from "./calls.ts";

/** How the engine is to be started. */
export interface EngineSettings {
  readonly servers: readonly string[];
  readonly namespace: string;
  readonly shards: number;
  readonly replicas: number;
}

let engine: Engine | undefined;

/** What the engine process can be asked for. */
export class EngineCalls {
  async start(settings: EngineSettings): Promise<void> {
    const log = (level: string) => (message: string, fields?: unknown) =>
      console.error(`engine ${level}: ${message}`, fields ?? "");
    const quiet = { debug: () => {}, info: () => {} };
    engine = await startEngine({
      ...settings,
      log: { ...quiet, warn: log("warning"), error: log("error") },
    });
  }

  status(): EngineStatus | undefined {
    return engine?.status();
  }
}

serveCalls(new EngineCalls(), async () => engine?.close());
