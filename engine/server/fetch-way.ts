/** What every way of fetching a server has in common. */

/** What a way of fetching may use. */
export interface FetchContext {
  /** An empty folder to work in. It is removed afterwards, whatever happened. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Tells that this will take long. */
  readonly report: (line: string) => void;
}

/** One way of fetching a server. */
export interface FetchWay {
  /** Says what it does, for people. */
  readonly title: string;
  /**
   * Brings an executable into the folder and returns its path. It may be too old: that is checked.
   * @throws {ServerFetchError} When it does not work here; the message is the reason.
   */
  fetch(context: FetchContext): Promise<string>;
}
