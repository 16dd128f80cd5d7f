/**
 * The versions of one task that a worker has, and which of them a run goes on with. Pure.
 *
 * V1. A run that has begun goes on with its own version, else with one that says it is compatible.
 * V2. A run that has not begun begins with the greatest.
 */
import { InvalidInputError } from "../shared/errors.ts";
import type { RunState } from "../shared/run-state.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";

const order = new Intl.Collator("en", { numeric: true });

/** The versions of one task. */
export class TaskVersions {
  /** What new runs begin with. */
  readonly newest: TaskDefinition;
  /** From the greatest to the least. */
  readonly #definitions: readonly TaskDefinition[];

  /**
   * @param definitions One or more, of one name.
   * @throws {InvalidInputError} When two have the same version, or they are of both kinds.
   */
  constructor(definitions: readonly TaskDefinition[]) {
    this.#definitions = [...definitions].sort((a, b) => order.compare(nameOf(b), nameOf(a)));
    this.newest = this.#definitions[0] as TaskDefinition;
    const { name, kind } = this.newest;
    const names = new Set(this.versions);
    if (names.size < definitions.length)
      throw new InvalidInputError(
        `A worker got two tasks named "${name}"${names.size > 1 ? " with the same version" : ""}. Give each task a name of its own, and versions of one task different versions.`,
        { value: name },
      );
    if (this.#definitions.some((other) => other.kind !== kind))
      throw new InvalidInputError(
        `A worker got versions of the task "${name}" that are regular and durable. Give a task that changes its kind another name.`,
        { value: name },
      );
  }

  /** All of them, from the greatest; "" for a task without a version. */
  get versions(): readonly string[] {
    return this.#definitions.map(nameOf);
  }

  /** Whether the task has versions. */
  get hasVersions(): boolean {
    return this.#definitions.some(({ version }) => version !== undefined);
  }

  /** What a run goes on with; nothing when it has a version that this worker cannot go on with. */
  forRun(state: Pick<RunState, "status" | "version">): TaskDefinition | undefined {
    return state.status === "queued" ? this.newest : this.forVersion(state.version ?? "");
  }

  /** What a run that began with this version goes on with. */
  forVersion(version: string): TaskDefinition | undefined {
    return (
      this.#definitions.find((definition) => nameOf(definition) === version) ??
      this.#definitions.find((definition) => isCompatible(definition, version))
    );
  }
}

/** Groups definitions by their names. */
export function byName(definitions: readonly TaskDefinition[]): TaskVersions[] {
  const groups = new Map<string, TaskDefinition[]>();
  for (const definition of definitions)
    groups.set(definition.name, [...(groups.get(definition.name) ?? []), definition]);
  return [...groups.values()].map((group) => new TaskVersions(group));
}

function nameOf({ version }: TaskDefinition): string {
  return version ?? "";
}

function isCompatible({ compatibleWith }: TaskDefinition, version: string): boolean {
  return typeof compatibleWith === "function"
    ? compatibleWith(version)
    : compatibleWith.includes(version);
}

/** Versions as people read them. */
export function versionsText(versions: readonly string[]): string {
  return versions
    .map((version) => (version === "" ? "no version" : `version "${version}"`))
    .join(", ");
}
