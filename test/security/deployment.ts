/** A server with one of the configurations of `examples/security`, and whoever connects to it. */
import { resolve } from "node:path";
import { prepareNamespace, startEngine } from "../../engine/index.ts";
import { connect as connectClient } from "../../shared/index.ts";
import { connectNats, type NatsLink, type NatsOptions } from "../../shared/jetstream/connection.ts";
import { asClientHeaders, encodeHeaders } from "../../shared/jetstream/headers.ts";
import { durableTask, type Task, task } from "../../shared/task.ts";
import { startWorker } from "../../worker/index.ts";
import { startTestServer, type TestServer } from "../helpers/nats.ts";

/** Where the configurations are. */
export const FOLDER: string = resolve("examples/security");

/** The users of `roles.conf`; the inbox of each has its name. */
export const ROLES: readonly string[] = [
  "admin",
  "engine",
  "worker",
  "client",
  "caller",
  "publisher",
  "observer",
];
const TENANTS = ["ACME", "GLOBEX"];

/** A child, as the configurations name it. */
export const packItem: Task<{ readonly sku: string }, { readonly parcel: string }> = task({
  name: "pack-item",
  run: ({ sku }: { readonly sku: string }) => ({ parcel: `P-${sku}` }),
});

/** A run that needs every right of a worker: a step, an event, a long sleep, children. */
export const fulfilOrder: Task<{ readonly id: string }, unknown> = durableTask({
  name: "fulfil-order",
  run: async ({ id }: { readonly id: string }, ctx) => {
    const payment = await ctx.step("pay", () => `paid ${id}`);
    const approval = await ctx.waitForEvent("order.approved", { where: { id } });
    await ctx.sleepFor("1.5s");
    const parcels = await ctx.run(packItem, [{ sku: "tea" }, { sku: "cup" }]);
    return { payment, by: (approval.data as { readonly by?: string }).by, parcels };
  },
});

/** What `fulfilOrder` comes to. */
export function fulfilled(id: string, by: string): unknown {
  return { payment: `paid ${id}`, by, parcels: [{ parcel: "P-tea" }, { parcel: "P-cup" }] };
}

/** One server, and its users. */
export class Deployment {
  readonly server: TestServer;
  readonly #common: Partial<NatsOptions>;

  private constructor(server: TestServer, common: Partial<NatsOptions>) {
    this.server = server;
    this.#common = common;
  }

  /** Starts a server with exactly that file; it ends with the test process at the latest. */
  static async start(file: string, common: Partial<NatsOptions> = {}): Promise<Deployment> {
    const users = [...ROLES, "system"].map((role) => `CONTRAIL_${role.toUpperCase()}`);
    const tenants = TENANTS.flatMap((tenant) => ROLES.map((role) => `${tenant}_${role}`));
    for (const user of [...users, ...tenants])
      process.env[`${user.toUpperCase()}_PASSWORD`] = passwordOf(user);
    return new Deployment(await startTestServer(resolve(FOLDER, file)), common);
  }

  /** How a role connects. `tenant` is the first part of the names of a tenant's users. */
  as(role: string, tenant?: string): NatsOptions {
    return {
      servers: this.server.url,
      user: tenant === undefined ? role : `${tenant}-${role}`,
      pass: passwordOf(`${tenant ?? "contrail"}_${role}`),
      inboxPrefix: role === "system" ? "_INBOX" : `_INBOX_${role}`,
      ...this.#common,
    };
  }

  /** Sets the namespace up and starts an engine and a worker, each with its own credentials. */
  async run(t: Teardown, tenant?: string): Promise<void> {
    await prepareNamespace({ ...this.as("admin", tenant), shards: 2 });
    const engine = await startEngine(this.as("engine", tenant));
    t.teardown(() => engine.close());
    const worker = await startWorker({
      ...this.as("worker", tenant),
      tasks: [packItem, fulfilOrder],
      slots: { regular: 4, durable: 4 },
    });
    t.teardown(() => worker.close());
  }

  /** A client of the library. */
  async client(t: Teardown, role = "client", tenant?: string): ReturnType<typeof connectClient> {
    const client = await connectClient(this.as(role, tenant));
    t.teardown(() => client.close());
    return client;
  }

  /** A connection of ours. */
  async link(t: Teardown, role: string, tenant?: string): Promise<NatsLink> {
    const link = await connectNats(this.as(role, tenant));
    t.teardown(() => link.close());
    return link;
  }

  /** A connection of somebody who goes by no rule but the server's. */
  async intruder(t: Teardown, role: string, tenant?: string): Promise<Intruder> {
    const { nc } = await this.link(t, role, tenant);
    return new Intruder(nc);
  }
}

/** What closes things when a test, or a file of them, is over. */
interface Teardown {
  teardown(end: () => unknown): void;
}

function passwordOf(user: string): string {
  return `secret-of-${user.toLowerCase()}`;
}

/** What somebody tries: a message, or to listen. */
export interface Attempt {
  readonly subject: string;
  readonly body?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly reply?: string;
}

/** Somebody with a role's credentials and bad intentions. */
export class Intruder {
  readonly nc: NatsLink["nc"];

  constructor(nc: NatsLink["nc"]) {
    this.nc = nc;
  }

  /** Whether the server lets the message through its permissions; what becomes of it is not asked. */
  async mayPublish({ subject, body = "", headers, reply }: Attempt): Promise<boolean> {
    const { nc } = this;
    return this.#isPermitted(subject, () => {
      const made = headers === undefined ? undefined : headersOf(headers);
      nc.publish(subject, body, {
        ...(made === undefined ? {} : { headers: made }),
        ...(reply === undefined ? {} : { reply }),
      });
    });
  }

  /** What is answered, as text. */
  async ask({ subject, body = "", headers = {} }: Attempt): Promise<string> {
    const options = { timeout: 20_000, headers: headersOf(headers) };
    return (await this.nc.request(subject, body, options)).string();
  }

  /** Whether the server lets it listen. */
  async mayListen(subject: string): Promise<boolean> {
    return this.#isPermitted(subject, () => {
      this.nc.subscribe(subject, { callback: () => {} });
    });
  }

  /** The server complains before it answers the next ping, and the client tells it in that order. */
  async #isPermitted(subject: string, act: () => void): Promise<boolean> {
    const errors: string[] = [];
    const statuses = this.nc.status();
    void (async () => {
      for await (const status of statuses)
        if (status.type === "error") errors.push(status.error.message);
    })();
    act();
    await this.nc.flush();
    await new Promise((resolve) => setImmediate(resolve));
    return !errors.some((error) => error.includes(`"${subject}"`));
  }
}

function headersOf(fields: Readonly<Record<string, string>>): ReturnType<typeof asClientHeaders> {
  return asClientHeaders(encodeHeaders(Object.entries(fields)));
}
