/** An engine in a process of its own. */
import { ENGINE_ENTRY } from "./entries.ts";
import { jsonLog, ownOptions, serve } from "./process-side.ts";

interface EngineEntry {
  startEngine(options: unknown): Promise<{ close(): Promise<void> }>;
}

const { startEngine } = (await import(ENGINE_ENTRY.href)) as EngineEntry;
const engine = await startEngine({ ...ownOptions<object>(), log: jsonLog });
serve("engine", () => engine.close());
