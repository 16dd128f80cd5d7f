/** The `contrail` command in a test's account and folder. */
import { type CommandResult, contrail } from "../../helpers/contrail.ts";
import type { World } from "./world.ts";

/** Runs the command to its end. @param env Further variables of its environment. */
export function command(
  { access, folder }: Pick<World, "access" | "folder">,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const { servers, user, pass } = access;
  return contrail(args, {
    cwd: folder,
    server: servers.join(","),
    env: { NATS_USER: user, NATS_PASSWORD: pass, ...env },
  });
}
