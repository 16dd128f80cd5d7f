import test from "ava";
import { InvalidInputError } from "../../shared/errors.ts";
import { durableTask, task } from "../../shared/task.ts";
import { definitionOf, type TaskDefinition } from "../../shared/task-definition.ts";
import { byName, TaskVersions, versionsText } from "../../worker/task-versions.ts";

type Compatible = readonly (string | number)[] | ((version: string) => boolean);

function made(version?: string | number, compatibleWith?: Compatible): TaskDefinition {
  const options = {
    ...(version === undefined ? {} : { version }),
    ...(compatibleWith === undefined ? {} : { compatibleWith }),
  };
  return definitionOf(durableTask({ name: "order", run: () => {}, ...options }));
}
const queued = { status: "queued" } as const;
const begun = (version?: string) =>
  ({ status: "waiting", ...(version === undefined ? {} : { version }) }) as const;

test("new runs begin with the greatest version, counted as people count", (t) => {
  for (const given of [
    [9, 10, 11],
    ["1.9", "1.10", "2"],
    [undefined, "a"],
  ]) {
    const all = given.map((version) => made(version));
    const versions = new TaskVersions(all);
    const greatest = all.at(-1) as TaskDefinition;
    t.is(versions.newest, greatest);
    t.is(versions.forRun(queued), greatest);
    t.is(new TaskVersions([...all].reverse()).newest, greatest);
  }
});

test("a run goes on with its own version, else with the greatest that is compatible", (t) => {
  const [one, two, three] = [made(1), made(2, ["0", ""]), made(3, (v) => v === "0" || v === "2")];
  const versions = new TaskVersions([one, two, three]);
  t.is(versions.forRun(begun("1")), one);
  t.is(versions.forRun(begun("2")), two);
  t.is(versions.forRun(begun("0")), three);
  t.is(versions.forRun(begun()), two);
  t.is(versions.forRun(begun("4")), undefined);
  t.deepEqual(versions.versions, ["3", "2", "1"]);
  t.true(versions.hasVersions);
});

test("a task without a version goes on with runs that have none", (t) => {
  const versions = new TaskVersions([made()]);
  t.is(versions.forRun(begun()), versions.newest);
  t.is(versions.forRun(begun("1")), undefined);
  t.false(versions.hasVersions);
});

test("a worker's tasks are grouped by name, and what cannot be one task is refused", (t) => {
  const other = definitionOf(durableTask({ name: "other", run: () => {} }));
  const groups = byName([made(1), other, made(2)]);
  t.deepEqual(
    groups.map(({ newest, versions }) => [newest.name, versions]),
    [
      ["order", ["2", "1"]],
      ["other", [""]],
    ],
  );
  t.throws(() => byName([made(), made()]), {
    instanceOf: InvalidInputError,
    message: /^A worker got two tasks named "order"\. Give/,
  });
  t.throws(() => byName([made(1), made("1"), made(2)]), {
    message: /^A worker got two tasks named "order" with the same version\. /,
  });
  const regular = definitionOf(task({ name: "order", version: 2, run: () => {} }));
  t.throws(() => byName([made(1), regular]), { message: /regular and durable.*another name\.$/ });
});

test("versions are told as people read them", (t) => {
  t.is(versionsText(["2", ""]), 'version "2", no version');
});
