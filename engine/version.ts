/** Which version of Contrail this is. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** As in package.json. */
export const VERSION: string = (require("contrail/package.json") as { readonly version: string })
  .version;
