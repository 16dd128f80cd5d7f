/** Somebody with all rights who removes messages of runs, or takes tokens that are not theirs. */
import type { RunHandle } from "../../../shared/index.ts";
import { Puller } from "../../../shared/jetstream/puller.ts";
import type { LogKind } from "../../../shared/subjects.ts";
import { until } from "../../helpers/until.ts";
import type { World } from "./world.ts";

/** Where the messages of a run are. */
function placeOf({ setup }: World, { taskName, runId }: RunHandle) {
  return setup.names.run({ taskName, runId });
}

/** Removes all messages of one kind of a run, as somebody with all rights may. */
export async function remove(world: World, run: RunHandle, kind: LogKind): Promise<void> {
  const { stream, prefix } = placeOf(world, run);
  const subject = `${prefix}.${kind}`;
  await untilStored(world, run, kind);
  await world.link.requests.ask({
    subject: `$JS.API.STREAM.PURGE.${stream}`,
    payload: JSON.stringify({ filter: subject }),
    what: "a purge",
    receive: () => "done",
  });
}

/** Resolves when a run has a message of this kind. */
export async function untilStored(world: World, run: RunHandle, kind: LogKind): Promise<void> {
  const { stream, prefix } = placeOf(world, run);
  await until(
    async () =>
      (await world.link.reader.lastFor(stream, `${prefix}.${kind}`, { leader: true })) !==
      undefined,
    { what: `${kind} of ${run.runId}` },
  );
}

/** Takes a token of a run and acknowledges it, as a curious person does, and all before it. */
export async function steal(world: World, run: RunHandle, kind: LogKind): Promise<void> {
  const { stream, prefix } = placeOf(world, run);
  const puller = new Puller(world.link, {
    stream,
    consumer: world.setup.names.taskConsumer(run.taskName),
  });
  await new Promise<void>((resolve, reject) => {
    const ask = (): void =>
      puller.request({
        batch: 1,
        expiresMs: 30_000,
        onMessage: (token) => {
          token.ack();
          if (token.subject === `${prefix}.${kind}`) resolve();
          else ask(); // the worker was killed before its acknowledgement was sent
        },
        onEnd: ({ missing, reason }) => missing > 0 && reject(new Error(`No token: ${reason}`)),
      });
    ask();
  });
  puller.discard();
}
