/** Headers of messages as the text that goes over the wire: read and changed as the server does it. */

const PREAMBLE = "NATS/1.0\r\n";
const END = "\r\n";

/** The first value under exactly this name; nothing when there is none or it is empty. */
export function headerValue(headers: string, name: string): string | undefined {
  const at = headers.indexOf(`\r\n${name}:`);
  if (at < 0) return undefined;
  let start = at + name.length + 3;
  while (headers[start] === " ") start++;
  return headers.slice(start, headers.indexOf("\r\n", start)) || undefined;
}

/** Appends a header. `headers` may be empty. */
export function withHeader(headers: string, name: string, value: string | number): string {
  const before = headers === "" ? PREAMBLE : headers.slice(0, -END.length);
  return `${before}${name}: ${value}\r\n${END}`;
}

/** Appends several headers. */
export function withHeaders(
  headers: string,
  more: Readonly<Record<string, string | number>>,
): string {
  let text = headers;
  for (const [name, value] of Object.entries(more)) text = withHeader(text, name, value);
  return text;
}

/** Leaves out the headers of these names; empty when none is left. */
export function withoutHeaders(headers: string, isUnwanted: (name: string) => boolean): string {
  if (headers === "") return "";
  const lines = headers.slice(0, -2 * END.length).split("\r\n");
  const [preamble, ...rest] = lines;
  const kept = rest.filter((line) => !isUnwanted(line.slice(0, line.indexOf(":"))));
  return kept.length === 0 ? "" : `${[preamble, ...kept].join("\r\n")}\r\n${END}`;
}

/** The headers of a message that says how something went, such as `404 Message Not Found`. */
export function statusHeaders(
  status: string,
  more: Readonly<Record<string, string | number>> = {},
): string {
  return withHeaders(`NATS/1.0 ${status}\r\n${END}`, more);
}
