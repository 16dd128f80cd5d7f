/** A process of the suite, seen from the suite. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Question, Usage, UsageQuestion } from "./calls.ts";

/** How a process is started. */
export interface ChildOptions {
  /** What it is called in messages and profiles. */
  readonly role: string;
  readonly script: URL;
  /** Folder for a CPU profile of it, written when it ends. Default: none is taken. */
  readonly profileTo?: string | undefined;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** So long a process may take to close before it is killed. */
const CLOSE_WITHIN_MS = 20_000;

type Argument<C> = C extends (argument: infer A) => unknown ? A : never;
type Value<C> = C extends (argument: never) => infer R ? Awaited<R> : never;

/** A running process that can be called. */
export class Child<C extends object> {
  readonly role: string;
  readonly #process: ChildProcess;
  readonly #waiting: Map<number, Waiting> = new Map();
  readonly #exited: Promise<void>;
  #count = 0;
  #isClosing = false;
  #failure: Error | undefined;

  constructor({ role, script, profileTo }: ChildOptions) {
    this.role = role;
    const profile = ["--cpu-prof", `--cpu-prof-dir=${profileTo}`, "--cpu-prof-interval=250"];
    const args = profileTo === undefined ? [] : [...profile, `--cpu-prof-name=${role}.cpuprofile`];
    this.#process = fork(fileURLToPath(script), [], {
      execArgv: [...process.execArgv, ...args],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#process.on("message", (answer: Answer) => this.#settle(answer));
    this.#process.on("error", (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        this.#fail(new Error(`The ${role} process ended by itself (${signal ?? `code ${code}`}).`));
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * Asks the process to do something and waits for it.
   * @throws {Error} With the stack from over there when it failed, or when the process ended.
   */
  call<N extends keyof C & string>(name: N, argument?: Argument<C[N]>): Promise<Value<C[N]>> {
    return this.#ask(name, argument) as Promise<Value<C[N]>>;
  }

  #ask(name: string, argument: unknown): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#count++;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const question: Question = { id, name, argument };
      this.#process.send(question, (error) => {
        if (error) this.#fail(error);
      });
    });
  }

  /** What the process has used so far. */
  usage(question: UsageQuestion = {}): Promise<Usage> {
    return this.#ask("usage", question) as Promise<Usage>;
  }

  /** Lets it close its connections and end; kills it when it takes too long. Safe to repeat. */
  async close(): Promise<void> {
    if (!this.#isClosing && this.#process.connected) this.#process.disconnect();
    this.#isClosing = true;
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), CLOSE_WITHIN_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #settle({ id, value, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(`The ${this.role} process failed: ${error}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
