/** An engine of the chaos run. */
import "./clock-shift.ts";
import { type EngineOptions, startEngine } from "../../../engine/index.ts";
import { log, ownOptions, serve } from "./side.ts";

const engine = await startEngine({ ...ownOptions<EngineOptions>(), log });
serve(engine.name, () => engine.close());
