/** How much of a failure is told again at the end. Of a long report often only the end is kept. */
const TOLD_LINES = 40;
const TOLD_CHARS = 200;

interface Failure {
  readonly title: string;
  readonly details: string[];
}

/** Counts what ava reports in TAP, the format of the Test Anything Protocol. */
export class TestCounts {
  #passed = 0;
  #skipped = 0;
  readonly #failures: Failure[] = [];
  #isFailure = false;

  /** Takes one line of the report. */
  read(line: string): void {
    const [, not, title = ""] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (title === "") return this.#readDetails(line);
    this.#isFailure = Boolean(not);
    if (/ # (?:SKIP|TODO)/.test(title)) this.#skipped++;
    else if (not) this.#failures.push({ title, details: [] });
    else this.#passed++;
  }

  /** The details of a failure are indented, and stand behind its title and what its test has said. */
  #readDetails(line: string): void {
    const isMark = /^ {2}(?:---|\.\.\.)$/.test(line);
    if (this.#isFailure && line.startsWith("  ") && !isMark)
      this.#failures.at(-1)?.details.push(line);
  }

  /** Every failure with its title and the beginning of its details, and in the last line the counts. */
  summary(): string {
    const told = this.#failures.flatMap(({ title, details }) => [
      `failed: ${title}`,
      ...details.slice(0, TOLD_LINES).map((line) => line.slice(0, TOLD_CHARS)),
    ]);
    const skipped = this.#skipped === 0 ? "" : `, ${this.#skipped} skipped`;
    return [...told, `${this.#passed} passed, ${this.#failures.length} failed${skipped}`].join(
      "\n",
    );
  }
}
