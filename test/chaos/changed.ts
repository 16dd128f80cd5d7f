/** Which processes execute changed code. */

/** Environment variable: "1" in a process whose code was changed. */
export const CHANGED_VARIABLE = "CONTRAIL_CHAOS_CHANGED";
