/** Counts what ava reports in TAP, the format of the Test Anything Protocol. */
export class TestCounts {
  #passed = 0;
  #skipped = 0;
  readonly #failed: string[] = [];

  /** Takes one line of the report. */
  read(line: string): void {
    const [, not, title = ""] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (title === "") return;
    if (/ # (?:SKIP|TODO)/.test(title)) this.#skipped++;
    else if (not) this.#failed.push(title);
    else this.#passed++;
  }

  /** The failed titles, if any, and in the last line the counts. */
  summary(): string {
    const skipped = this.#skipped === 0 ? "" : `, ${this.#skipped} skipped`;
    const counts = `${this.#passed} passed, ${this.#failed.length} failed${skipped}`;
    return [...this.#failed.map((title) => `failed: ${title}`), counts].join("\n");
  }
}
