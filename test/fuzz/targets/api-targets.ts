/** The micro service: requests of callers who are trusted with nothing, over the true client. */
import { apiService } from "../../../engine/api.ts";
import { setupNamespace } from "../../../engine/setup.ts";
import { clientOver } from "../../../shared/client.ts";
import type { MemoryLink } from "../../../shared/jetstream/memory-link.ts";
import { silentLog } from "../../../shared/logger.ts";
import { MemoryWorld } from "../../../shared/memory/memory-world.ts";
import { encodeToken } from "../../../shared/subjects.ts";
import type { Random } from "../../chaos/random.ts";
import { changed, noise } from "../inputs/bytes.ts";
import { mutatedText, text } from "../inputs/texts.ts";
import { json, mutated, number } from "../inputs/values.ts";
import { hold, type Target, target } from "../target.ts";

const VERBS = ["start", "get", "result", "cancel", "resume", "retry", "fork", "skip", "list"];
/** A world is left behind with what was started in it. */
const REQUESTS_PER_WORLD = 300;

interface Request {
  readonly subject: string;
  readonly data: Uint8Array;
}

/** A namespace in memory with the service over it. */
class Door {
  readonly #world = new MemoryWorld();
  readonly #errors: string[] = [];
  #link: MemoryLink | undefined;
  #replies = 0;

  async open(): Promise<void> {
    const link = this.#world.link("api");
    const { names } = await this.#world.run(
      setupNamespace(link, { namespace: "ns", shards: 1, clock: this.#world.time } as never),
    );
    const log = { ...silentLog, error: (message: string) => this.#errors.push(message) };
    const client = clientOver(link, names, "api");
    apiService({ link, names, client, clock: this.#world.time, log, name: "e" }).start();
    this.#link = link;
  }

  /** The answer: the code of an error, or 0. */
  async ask({ subject, data }: Request): Promise<{ status: number; body: Uint8Array }> {
    const nc = this.#link?.nc;
    if (!nc) throw new TypeError("The door is not open.");
    const reply = `_INBOX.${this.#replies++}`; // no answer goes anywhere else
    const answered = new Promise<{ status: number; body: Uint8Array }>((resolve) => {
      nc.subscribe(reply, {
        max: 1,
        callback: (_error, message) =>
          resolve({
            status: Number(message.headers?.get("Nats-Service-Error-Code") || 0),
            body: message.data,
          }),
      });
    });
    nc.publish(subject, data, { reply });
    const answer = await this.#world.run(answered, { withinMs: 120_000 });
    const said = this.#errors.splice(0).join("; ");
    hold(said === "", `the service failed: ${said}`);
    return answer;
  }
}

let door: Promise<Door> | undefined;
let requests = 0;

async function ask(request: Request): Promise<void> {
  if (requests++ % REQUESTS_PER_WORLD === 0) door = undefined;
  door ??= open();
  const { status, body } = await (await door).ask(request);
  hold(status !== 500, `an internal error: ${Buffer.from(body)}`);
  const said: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
  hold(typeof said === "object" && said !== null, "an answer that is no object");
  if (status !== 0)
    hold(typeof (said as { code?: unknown }).code === "string", "an error without code");
}

async function open(): Promise<Door> {
  const made = new Door();
  await made.open();
  return made;
}

/** Few, so that runs are met that are there. */
function name(random: Random): string {
  return random.chance(0.7) ? random.pick(["a", "b", "c"]) : text(random).slice(0, 300);
}

function fields(random: Random, verb: string): unknown {
  const id = name(random);
  switch (verb) {
    case "start":
      return {
        ...{ id, input: json(random) },
        ...(random.chance(0.3) ? { queueTimeout: random.pick(["1h", "x", text(random)]) } : {}),
      };
    case "result":
      return { id, timeoutMs: random.pick([0, 1, 5, number(random)]) };
    case "fork":
      return { id, newId: name(random), entries: random.whole(0, 2), results: json(random, 2) };
    case "skip":
      return { id, step: name(random), result: json(random, 2) };
    case "list":
      return { task: name(random), status: random.pick(["queued", "x"]), limit: number(random) };
    default:
      return { id, reason: text(random), from: name(random) };
  }
}

function request(random: Random): Request {
  const verb = random.pick(VERBS);
  const task = encodeToken(name(random)).slice(0, 500) || "_";
  const good = fields(random, verb);
  const made = random.chance(0.6) ? good : mutated(random, good, () => json(random, 2));
  const written = JSON.stringify(made) ?? "";
  const body = Buffer.from(random.chance(0.8) ? written : mutatedText(random, written));
  const data = random.chance(0.95) ? body : random.pick([noise(random), changed(random, body)]);
  return { subject: `ns.api.${verb}${verb === "list" ? "" : `.${task}`}`, data };
}

/** The targets of the door for other languages. */
export const apiTargets: readonly Target[] = [
  target({
    name: "api/request",
    covers: ["engine/api.ts apiService"],
    make: request,
    check: ask,
  }),
];
