/** What the server says when it refuses, by its error codes. */

/** A refusal, as it stands in answers. */
export interface ApiRefusal {
  /** Like a status of HTTP. */
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

/** The codes that this server knows. */
export type RefusalCode =
  | 10003
  | 10014
  | 10037
  | 10043
  | 10052
  | 10057
  | 10058
  | 10059
  | 10060
  | 10065
  | 10071
  | 10077
  | 10110
  | 10111
  | 10138
  | 10148
  | 10149
  | 10164
  | 10165
  | 10166
  | 10188
  | 10189
  | 10190
  | 10191
  | 10192
  | 10193
  | 10212;

const DESCRIPTIONS: Readonly<Record<RefusalCode, readonly [status: number, description: string]>> =
  {
    10003: [400, "bad request"],
    10014: [404, "consumer not found"],
    10037: [404, "no message found"],
    10043: [400, "sequence not found"],
    10052: [500, "not supported by the server in memory"],
    10057: [500, "message delete not permitted"],
    10058: [400, "stream name already in use with a different configuration"],
    10059: [404, "stream not found"],
    10060: [400, "expected stream does not match"],
    10065: [400, "subjects overlap with an existing stream"],
    10071: [400, "wrong last sequence"],
    10077: [503, "maximum messages per subject exceeded"],
    10110: [500, "stream purge not permitted"],
    10111: [500, "rollup not permitted"],
    10138: [400, "consumer subject filters cannot overlap"],
    10148: [400, "consumer already exists"],
    10149: [400, "consumer does not exist"],
    10164: [400, "wrong last sequence"],
    10165: [400, "invalid per-message TTL"],
    10166: [400, "per-message TTL is disabled"],
    10188: [400, "message schedules is disabled"],
    10189: [400, "message schedules pattern is invalid"],
    10190: [400, "message schedules target is invalid"],
    10191: [400, "message schedules invalid per-message TTL"],
    10192: [400, "message schedules invalid rollup"],
    10193: [400, "missing sequence for expected last sequence per subject"],
    10212: [400, "message schedules invalid scheduler"],
  };

/** The refusal with this code. */
export function refusalOf(code: RefusalCode, description?: string): ApiRefusal {
  const [status, text] = DESCRIPTIONS[code];
  return { code: status, err_code: code, description: description ?? text };
}
