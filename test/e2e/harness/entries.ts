/** Where the public entries are that the tests reach by address. */
import { existsSync } from "node:fs";

/** The engine's entry, compiled. */
export const ENGINE_ENTRY: URL = new URL("../../../engine/index.js", import.meta.url);

/** Whether there is an engine. */
export const hasEngine: boolean = existsSync(ENGINE_ENTRY);
