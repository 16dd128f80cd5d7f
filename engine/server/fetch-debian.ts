/**
 * Takes nats-server out of Debian's package, from a newer suite of the mirror that this machine
 * already uses. apt does the work, with lists, cache and sources of its own inside our folder: it
 * checks the suite's signature against Debian's archive keys, and every file against the signed
 * index. Nothing is installed, nothing outside the folder changes, and no privileges are needed.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ServerFetchError } from "./errors.ts";
import type { FetchWay } from "./fetch-way.ts";
import { type CommandResult, runCommand } from "./run-command.ts";
import { checkServer } from "./version.ts";

/** Where the package comes from; tests name a mirror of their own. */
export interface DebianSource {
  /** The archive's address, as in apt's sources. */
  readonly mirror: string;
  /** The file with the only keys whose signature is accepted. */
  readonly keyring: string;
}

/** Newest last; both names stay when Debian releases. Stable is older than what we need. */
const SUITES = ["testing", "unstable"] as const;

/** Debian's archive keys, as the package debian-archive-keyring installs them. */
const KEYRINGS = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/** How long each call of apt may take: the list of a suite has about 10 MB, the package 5 MB. */
const APT_TIMEOUT_MS = 60_000;

/** The package from this machine's own Debian mirror. */
export const debianPackage: FetchWay = debianPackageFrom(machineSource);

/** A way of fetching the package from a given mirror. */
export function debianPackageFrom(findSource: () => Promise<DebianSource>): FetchWay {
  return {
    title: "Debian's package from a newer suite of this machine's mirror",
    async fetch({ folder, env }) {
      const source = await findSource();
      const refusals: string[] = [];
      for (const suite of SUITES) {
        const outcome = await fetchFromSuite({ suite, source, folder, env });
        if ("file" in outcome) return outcome.file;
        refusals.push(`${suite}: ${outcome.reason}`);
      }
      throw new ServerFetchError(refusals.join("; "));
    },
  };
}

type SuiteOutcome = { readonly file: string } | { readonly reason: string };

async function fetchFromSuite(from: {
  readonly suite: string;
  readonly source: DebianSource;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}): Promise<SuiteOutcome> {
  const folder = join(from.folder, from.suite);
  const config = await writeAptFolder(folder, from);
  const apt = (...args: string[]): Promise<CommandResult> =>
    runCommand("apt-get", ["-c", config, "-q", ...args], {
      cwd: folder,
      env: { ...from.env, LC_ALL: "C" },
      timeoutMs: APT_TIMEOUT_MS,
    });

  const updated = await apt("update");
  if (updated.failure !== undefined) return { reason: aptReason(updated) };
  const downloaded = await apt("download", "nats-server");
  if (downloaded.failure !== undefined) return { reason: aptReason(downloaded) };

  const archive = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (archive === undefined) return { reason: "apt-get download left no file" };
  const unpack = { cwd: folder, timeoutMs: APT_TIMEOUT_MS };
  const unpacked = await runCommand("dpkg-deb", ["-x", archive, "unpacked"], unpack);
  if (unpacked.failure !== undefined) return { reason: `dpkg-deb: ${unpacked.failure}` };

  const places = ["usr/bin", "usr/sbin"].map((bin) => join(folder, "unpacked", bin, "nats-server"));
  const file = places.find((place) => existsSync(place));
  if (file === undefined) return { reason: "the package has no nats-server in it" };
  const check = await checkServer(file);
  return check.kind === "usable" ? { file } : { reason: `the package ${check.reason}` };
}

/** Makes a world of its own for apt and returns its configuration file. */
async function writeAptFolder(
  folder: string,
  from: { readonly suite: string; readonly source: DebianSource },
): Promise<string> {
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  await mkdir(join(folder, "archives", "partial"), { recursive: true });
  await writeFile(join(folder, "status"), "");
  const { mirror, keyring } = from.source;
  const options = `signed-by=${keyring} target=Packages lang=none`;
  await writeFile(join(folder, "sources.list"), `deb [${options}] ${mirror} ${from.suite} main\n`);
  const config = join(folder, "apt.conf");
  await writeFile(
    config,
    [
      // Read after the machine's own configuration, whose proxy and mirror settings stay in force.
      `Dir::State "${folder}";`,
      `Dir::State::lists "${folder}/lists";`,
      `Dir::State::status "${folder}/status";`,
      `Dir::Cache "${folder}";`,
      `Dir::Cache::archives "${folder}/archives";`,
      `Dir::Etc::sourcelist "${folder}/sources.list";`,
      `Dir::Etc::sourceparts "/dev/null";`,
      // As root, apt would fetch as a user that cannot read our folder.
      `APT::Sandbox::User "root";`,
      // Whatever the machine's administrator allows for other packages.
      `Acquire::AllowInsecureRepositories "false";`,
      `Acquire::AllowWeakRepositories "false";`,
      `APT::Get::AllowUnauthenticated "false";`,
      `APT::Update::Error-Mode "any";`,
      `Acquire::Retries "1";`,
      `Acquire::http::Timeout "20";`,
      `Acquire::https::Timeout "20";`,
      "#clear APT::Update::Pre-Invoke;",
      "#clear APT::Update::Post-Invoke;",
      "#clear APT::Update::Post-Invoke-Success;",
      "",
    ].join("\n"),
  );
  return config;
}

/** The first error apt names; with a bad signature or hash it says which. */
function aptReason(run: CommandResult): string {
  const errors = run.stderr.split("\n").filter((line) => /^[EW]: /.test(line));
  const told = errors.find((line) => line.startsWith("E: ")) ?? errors[0] ?? run.failure ?? "";
  return `apt-get: ${told.replace(/^[EW]: /, "")}`;
}

/** The mirror in apt's own sources that serves this Debian release, and Debian's keys. */
async function machineSource(): Promise<DebianSource> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const id = /^ID="?(\w+)/m.exec(release)?.[1];
  if (id !== "debian") throw new ServerFetchError("skipped: this machine does not run Debian");
  const keyring = KEYRINGS.find((file) => existsSync(file));
  if (keyring === undefined) {
    throw new ServerFetchError("skipped: debian-archive-keyring is not installed");
  }
  const format = "$(COMPONENT) $(RELEASE) $(REPO_URI)";
  const query = ["indextargets", "--format", format, "Created-By: Packages"];
  const listed = await runCommand("apt-get", query, { timeoutMs: APT_TIMEOUT_MS });
  if (listed.failure !== undefined) throw new ServerFetchError(`apt-get: ${listed.failure}`);
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(release)?.[1] ?? "";
  const suites = [codename, "stable", "testing", "unstable", "sid"];
  const rows = listed.stdout.split("\n").map((line) => line.split(" "));
  const mirrors = rows.filter(([part, suite]) => part === "main" && suites.includes(suite ?? ""));
  const addresses = mirrors.flatMap(([, , address]) => (address ? [address] : []));
  // Vendors name their own archives alike; Debian's own always ends in this folder.
  const mirror = addresses.find((address) => /\/debian\/?$/.test(address)) ?? addresses[0];
  if (mirror === undefined) throw new ServerFetchError("skipped: apt's sources name no mirror");
  return { mirror, keyring };
}
