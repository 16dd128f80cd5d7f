/** What is to be closed when all tests of a file are over, the newest first. */
export class Endings {
  readonly #all: (() => unknown)[] = [];

  /** As `t.teardown`. */
  teardown(end: () => unknown): void {
    this.#all.unshift(end);
  }

  async run(): Promise<void> {
    for (const end of this.#all) await end();
  }
}
