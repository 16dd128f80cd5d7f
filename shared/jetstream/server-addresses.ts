/** Addresses of servers, as people write them. Pure. */
import { isIPv6 } from "node:net";
import { describe } from "../describe.ts";
import { InvalidInputError } from "../errors.ts";

/**
 * Addresses without the space around them.
 * @param servers One, several with commas, or a list.
 * @throws {InvalidInputError} When there is none, or one is no address; the message has no secrets.
 */
export function serverList(servers: unknown): string[] {
  const given = typeof servers === "string" ? servers.split(",") : (servers ?? []);
  if (!Array.isArray(given)) throw noAddress(servers);
  const list = given.map((server: unknown) => checkAddress(server)).filter((it) => it !== "");
  if (list.length === 0)
    throw new InvalidInputError(
      'No servers were given. Expected an address such as "nats://127.0.0.1:4222", in the option `servers` or in NATS_URL.',
    );
  return list;
}

/** User and password, or a token, from the first address that has them. */
export function credentialsIn(servers: readonly string[]): {
  user?: string;
  pass?: string;
  token?: string;
} {
  for (const server of servers) {
    const [, found, secret] = /^(?:[a-z]+:\/\/)?([^@/:]+)(?::([^@/]*))?@/i.exec(server) ?? [];
    if (found === undefined) continue;
    if (secret === undefined) return { token: unescaped(found, server) };
    return { user: unescaped(found, server), pass: unescaped(secret, server) };
  }
  return {};
}

/** Whether an address asks for TLS. */
export function isForTls(server: string): boolean {
  return /^tls:/i.test(server);
}

/** An address that may be shown. */
export function withoutSecrets(server: string): string {
  return server.replace(/^([a-z]+:\/\/)?.*@/i, "$1");
}

/** @returns The address without the space around it; "" stays. */
function checkAddress(server: unknown): string {
  if (typeof server !== "string") throw noAddress(server);
  const trimmed = server.trim();
  const place = withoutSecrets(trimmed)
    .replace(/^(nats|tls):\/\//i, "")
    .replace(/\/$/, "");
  const isPlace = isIPv6(place) || (!place.includes("/") && URL.canParse(`http://${place}`));
  if (trimmed !== "" && !isPlace) throw noAddress(withoutSecrets(trimmed));
  return trimmed;
}

function noAddress(value: unknown): InvalidInputError {
  return new InvalidInputError(
    `${describe(value)} is no address of a server. Expected host:port, nats://host:port or tls://host:port, one or several.`,
    { value },
  );
}

function unescaped(text: string, server: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new InvalidInputError(
      `The user, password or token in the address ${withoutSecrets(server)} has a "%" that begins no escape. Write "%25" for the character itself.`,
      { cause },
    );
  }
}
