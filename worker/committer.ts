/**
 * Appends to the history of one run on behalf of one pass: compare-and-append with the last known
 * sequence as the guard, one commit in flight at a time.
 *
 * A1. Every commit is guarded by the literal history subject (P6). Who is refused has lost the run.
 * A2. An unknown outcome is settled before anything else happens: the same commit with the same
 *     guard again, and then whoever stands behind the guard (rule 6).
 * A3. The state is changed only by what is stored, and holds it as a replay would read it: what the
 *     code receives is never the very object that it returned from a step.
 * A4. Nothing is put behind the entry with which a pass is over: a request to cancel that comes at
 *     that moment is told to whoever goes on, and to nobody when the run has ended.
 */
import { type Commit, decodeCommit, type Entry, type StoredCommit } from "../shared/entries.ts";
import { InvariantError } from "../shared/errors.ts";
import type { HeaderList } from "../shared/jetstream/headers.ts";
import { mayNotPublish } from "../shared/jetstream/permissions.ts";
import type { GuardedOutcome, Publisher } from "../shared/jetstream/publisher.ts";
import type { Reader } from "../shared/jetstream/reader.ts";
import { evolve, type RunState } from "../shared/run-state.ts";
import type { RunStatus } from "../shared/run-status.ts";
import { BEGINNING_HEADER, HEADERS, STATUS_HEADER, VERSION_HEADER } from "../shared/subjects.ts";
import { type EncodedCommit, fitCommits, smallCommit } from "./commit-size.ts";
import { hasBecomeLong } from "./operation-limits.ts";

/** What a committer needs to know of its run and pass. */
export interface CommitterOptions {
  readonly publisher: Pick<Publisher, "guardedPublish">;
  readonly reader: Pick<Reader, "lastFor">;
  readonly stream: string;
  /** The literal subject of the history. */
  readonly history: string;
  readonly state: RunState;
  readonly pass: string;
  /** Stream sequence of the token of this passage. */
  readonly token: number;
  /** The server's clock. */
  readonly now: () => number;
  /** The largest message that the server accepts. */
  readonly maxBytes: number;
  /** Encoded values with more bytes are stored apart. */
  readonly inlineBytes: number;
  /** Stores large values apart, and returns the entries with what stands for them. */
  readonly stow: (entries: readonly Entry[]) => Promise<readonly Entry[]>;
  /** Called with the commit that ended the run, when it is stored. */
  readonly onEnded?: (body: Uint8Array) => void;
  /** Called with the commit by which the history has become long. */
  readonly onLongHistory?: () => void;
  /** Whether the pass is given up: retries end. */
  readonly isOver: () => boolean;
}

/** So long one call retries before the pass is asked whether it still goes on. */
const RETRY_MS = 5_000;

/** The server's refusal to cancel what is no schedule. */
const NO_SCHEDULE_THERE = 10_212;
const CANCEL_HEADERS: ReadonlySet<string> = new Set([HEADERS.scheduler, HEADERS.scheduleNext]);

/** Whether the commit is stored, or the run belongs to somebody else. */
export type CommitEnd = "stored" | "lost";

/** With one of these a pass is over. */
const LAST_KINDS: ReadonlySet<Entry["kind"]> = new Set(["waiting", "paused", "ended"]);

/** Appends commits for one pass. */
export class Committer {
  readonly #options: CommitterOptions;
  #buffer: Entry[] = [];
  #running: Promise<CommitEnd> | undefined;
  #lost = false;
  #hasLast = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Whether the run belongs to somebody else: nothing is appended any more. */
  get isLost(): boolean {
    return this.#lost;
  }

  /** Whether a commit is on its way. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Puts an entry into the next commit without asking for one. Nothing once the pass is over. */
  add(entry: Entry): void {
    if (this.#hasLast) return;
    this.#hasLast = LAST_KINDS.has(entry.kind);
    this.#buffer.push(entry);
  }

  /**
   * Stores what was added, behind the commit that is on its way. Entries that are added meanwhile
   * go along.
   */
  async commit(headers: HeaderList = []): Promise<CommitEnd> {
    while (this.#running) await this.#running;
    if (this.#lost) return "lost";
    const entries = this.#buffer;
    if (entries.length === 0) return "stored";
    this.#buffer = [];
    this.#running = this.#store(entries, headers);
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Gives the run up: nothing is appended any more. */
  abandon(): void {
    this.#lost = true;
  }

  async #store(entries: readonly Entry[], headers: HeaderList): Promise<CommitEnd> {
    const { state, pass, token, now, history, inlineBytes } = this.#options;
    const { startSequence } = state;
    const commit: Commit = { startSequence, pass, token, time: now(), entries };
    const small = smallCommit(commit, inlineBytes, history);
    for (const part of small ? [small] : await this.#parts(commit)) {
      const all = [...headersOf(state, part.commit.entries), ...headers];
      const outcome = await this.#publish(part.bytes, all);
      const sequence = outcome?.ok
        ? outcome.sequence
        : await this.#settle(outcome, part.bytes, all);
      if (sequence === undefined) {
        this.#lost = true;
        return "lost";
      }
      // The code receives nothing any more of what is stored with the end.
      const isEnd = part.commit.entries.at(-1)?.kind === "ended";
      const before = state.entries;
      evolve(
        state,
        isEnd ? storedAs(part.commit, sequence) : decodeCommit(part.bytes, sequence, history),
      );
      if (hasBecomeLong(before, state.entries)) this.#options.onLongHistory?.();
      if (state.outcome) this.#options.onEnded?.(part.bytes);
    }
    return "stored";
  }

  /** What is large is stored before the commit that refers to it. */
  async #parts(commit: Commit): Promise<readonly EncodedCommit[]> {
    const { history, maxBytes, stow } = this.#options;
    return fitCommits({ ...commit, entries: await stow(commit.entries) }, maxBytes, history);
  }

  /** Nothing when the pass is given up. */
  #publish(body: Uint8Array, headers: HeaderList): Promise<GuardedOutcome> | undefined {
    const { publisher, history, state, isOver } = this.#options;
    if (isOver() || this.#lost) return undefined;
    const options = { expect: state.tail, headers, deadlineMs: RETRY_MS };
    return publisher.guardedPublish(history, body, options);
  }

  /** What a first try came to that has not stored the commit: tried again until that is settled. */
  async #settle(
    first: GuardedOutcome | undefined,
    body: Uint8Array,
    headers: HeaderList,
  ): Promise<number | undefined> {
    const { history, state } = this.#options;
    const guard = state.tail;
    let plain: HeaderList | undefined;
    let isUncertain = false;
    for (let outcome = first; outcome; outcome = await this.#publish(body, plain ?? headers)) {
      isUncertain ||= outcome.uncertain;
      if (outcome.ok) return outcome.sequence;
      if (outcome.kind === "guard") return isUncertain ? this.#mineBehind(guard) : undefined;
      if (outcome.kind === "refused" && outcome.code === NO_SCHEDULE_THERE && !plain) {
        plain = headers.filter(([name]) => !CANCEL_HEADERS.has(name));
        continue; // somebody put a plain message where the run's schedule should be
      }
      if (outcome.kind === "refused" && outcome.isForbidden)
        throw mayNotPublish(history, "A commit was not stored");
      if (outcome.kind === "refused")
        throw new InvariantError(
          `The server refused a commit of ${history}: ${outcome.description} (${outcome.code}).`,
        );
      if (outcome.kind === "unknown" && outcome.reason === "closed") return undefined; // for good
      isUncertain = true;
    }
    return undefined;
  }

  /**
   * The sequence of the commit behind the guard, if this pass wrote it. The leader is asked: a
   * replica may not have it yet. If somebody has appended after it the run is lost all the same.
   */
  async #mineBehind(guard: number): Promise<number | undefined> {
    const { reader, stream, history, pass } = this.#options;
    const last = await reader.lastFor(stream, history, { leader: true });
    if (!last || last.sequence <= guard) return undefined;
    const commit = decodeCommit(last.data, last.sequence, history);
    return commit.pass === pass ? last.sequence : undefined;
  }
}

/** Field by field: the spread would cost more than the rest of what is done with an end. */
function storedAs(commit: Commit, sequence: number): StoredCommit {
  const { startSequence, pass, token, time, entries } = commit;
  return { startSequence, pass, token, time, entries, sequence };
}

/** What followers read of a commit without its body. */
function headersOf(state: RunState, entries: readonly Entry[]): [string, string][] {
  const headers: [string, string][] = [[STATUS_HEADER, statusAfter(entries)]];
  const isAnew = entries.some(({ kind }) => kind === "continued");
  const pin = entries.find((entry) => entry.kind === "version-pinned");
  const version = pin?.version ?? (isAnew ? undefined : state.version);
  if (version !== undefined) headers.push([VERSION_HEADER, version]);
  const beginning = isAnew ? 0 : state.beginning?.sequence;
  if (beginning !== undefined) headers.push([BEGINNING_HEADER, String(beginning)]);
  return headers;
}

/** The status of the run after these entries, for those who read headers only. */
export function statusAfter(entries: readonly Entry[]): RunStatus {
  const last = entries.at(-1);
  if (last?.kind === "ended") return last.outcome.status;
  if (last?.kind === "waiting" || last?.kind === "paused") return last.kind;
  return "running";
}
