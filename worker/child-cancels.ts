/** Tells the children of a run that is canceled, or out of time, to stop too. */
import { childId, childIdPrefix } from "../shared/child-ids.ts";
import type { LeafCondition, LeafOutcome } from "../shared/entries.ts";
import { UndecodableError } from "../shared/errors.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { unstoredError } from "../shared/jetstream/unstored.ts";
import { decodeStart, encodeCancel } from "../shared/messages.ts";
import type { RunState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { ParentRun } from "./children.ts";
import type { Services } from "./services.ts";

/** Requests under way at once. */
const AT_ONCE = 256;

/**
 * Asks every child of the run to cancel that is not known to have ended and is not to be left alone.
 * Safe to repeat: it has to be, since whoever takes over an interrupted run cannot know how far the
 * one before came.
 */
export async function cancelChildren(
  services: Services,
  parent: ParentRun,
  state: Pick<RunState, "children" | "waits">,
  signal: AbortSignal,
): Promise<void> {
  const children = openChildren(parent, state);
  for (let i = 0; i < children.length; i += AT_ONCE)
    await Promise.all(
      children.slice(i, i + AT_ONCE).map((child) => cancelChild(services, parent, child, signal)),
    );
}

async function cancelChild(
  { link, names, workerId }: Services,
  parent: ParentRun,
  child: RunAddress,
  signal: AbortSignal,
): Promise<void> {
  const { prefix, stream } = names.run(child);
  const subject = `${prefix}.token.start`;
  const stored = await link.reader.lastFor(stream, subject, { leader: true, signal });
  if (!stored) return; // its start was refused, or it has ended and is purged
  if (!isChildOf(parent, stored)) return; // its id was taken by somebody else's run
  const body = encodeCancel({
    startSequence: stored.sequence,
    by: `worker ${workerId}`,
    reason: `its parent, run "${parent.runId}" of task "${parent.taskName}", was interrupted`,
    isTermination: false,
  });
  const outcome = await link.publisher.guardedPublish(`${prefix}.cancel`, body, {
    expect: stored.sequence,
    expectSubject: subject,
    signal,
  });
  if (outcome.ok || outcome.kind === "guard") return;
  throw unstoredError(outcome, {
    what: `The request to child "${child.runId}" of run "${parent.runId}" to stop`,
    mayNot: "may not have been stored",
  });
}

function isChildOf(parent: ParentRun, { data, subject, sequence }: StoredMessage): boolean {
  try {
    const { parent: by } = decodeStart(data, `${subject}, sequence ${sequence}`);
    const { taskName, runId, startSequence } = parent;
    return by?.runId === runId && by.taskName === taskName && by.startSequence === startSequence;
  } catch (error) {
    if (error instanceof UndecodableError) return false; // nobody's child
    throw error;
  }
}

/** The children that may be under way and are to stop with their parent. */
function openChildren(
  parent: ParentRun,
  state: Pick<RunState, "children" | "waits">,
): RunAddress[] {
  const open = new Map<string, RunAddress>();
  const idOf = ({ taskName, runId }: RunAddress): string => JSON.stringify([taskName, runId]);
  for (const { taskName, runIds, isLeft } of state.children.values())
    if (!isLeft)
      for (const runId of runIds) open.set(idOf({ taskName, runId }), { taskName, runId });
  for (const { leaves, recorded } of state.waits.values())
    for (const [leaf, condition] of leaves.entries())
      for (const { child, hasEnded } of childrenOf(parent, condition, recorded.get(leaf)?.outcome))
        if (hasEnded) open.delete(idOf(child));
        else open.set(idOf(child), child);
  return [...open.values()];
}

function* childrenOf(
  parent: ParentRun,
  condition: LeafCondition,
  outcome: LeafOutcome | undefined,
): Generator<{ readonly child: RunAddress; readonly hasEnded: boolean }> {
  if (condition.kind === "child") {
    const { taskName, runId, isLeft } = condition;
    const hasEnded = outcome !== undefined;
    if (hasEnded || !isLeft) yield { child: { taskName, runId }, hasEnded };
  } else if (condition.kind === "children") {
    const prefix = childIdPrefix(parent);
    const { taskName, first, count, isLeft } = condition;
    const ended = new Set(outcome?.kind === "children" ? outcome.ended.map(([at]) => at) : []);
    for (let i = 0; i < count; i++) {
      const hasEnded = ended.has(i);
      const child = { taskName, runId: childId(prefix, first + i) };
      if (hasEnded || !isLeft) yield { child, hasEnded };
    }
  }
}
