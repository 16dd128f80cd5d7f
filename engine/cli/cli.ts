/** What all commands share: the global options, the output, and the way to a namespace. */
import {
  type Client,
  type Clock,
  connect,
  type NatsOptions,
  systemClock,
} from "../../shared/index.ts";
import { readDevState } from "./dev-state.ts";
import { Output } from "./output.ts";

/** The global options as commander parses them. */
export interface GlobalOptions {
  readonly server?: string;
  readonly namespace: string;
  readonly creds?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly nkey?: string;
  readonly inboxPrefix?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
}

/** Where a server is looked for when nobody says where. */
export const DEFAULT_SERVER = "nats://127.0.0.1:4222";

/** One invocation of the command. */
export class Cli {
  readonly options: GlobalOptions;
  readonly output: Output;
  readonly clock: Clock = systemClock;

  constructor(options: GlobalOptions) {
    this.options = options;
    const { json = false, quiet = false, debug = false } = options;
    this.output = new Output({ json, quiet, debug });
  }

  get namespace(): string {
    return this.options.namespace;
  }

  /** The server that was named, or that `contrail dev` runs in this folder, or the usual one. */
  get nats(): NatsOptions {
    const server = this.options.server ?? readDevState(process.cwd())?.server ?? DEFAULT_SERVER;
    return { servers: server, ...this.credentials };
  }

  /** As whom to connect. */
  get credentials(): Omit<NatsOptions, "servers"> {
    const { creds, user, password, token, nkey, inboxPrefix, tlsCa, tlsCert, tlsKey } =
      this.options;
    const tls = {
      ...(tlsCa === undefined ? {} : { caFile: tlsCa }),
      ...(tlsCert === undefined ? {} : { certFile: tlsCert }),
      ...(tlsKey === undefined ? {} : { keyFile: tlsKey }),
    };
    return {
      ...(creds === undefined ? {} : { credsFile: creds }),
      ...(user === undefined ? {} : { user, pass: password ?? "" }),
      ...(token === undefined ? {} : { token }),
      ...(nkey === undefined ? {} : { nkey }),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      ...(Object.keys(tls).length === 0 ? {} : { tls }),
    };
  }

  /** Connects a client for as long as `use` takes. */
  async withClient<T>(use: (client: Client) => Promise<T>): Promise<T> {
    const client = await connect({ ...this.nats, namespace: this.namespace, name: "contrail cli" });
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  }
}
