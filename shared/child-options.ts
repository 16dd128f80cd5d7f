/** How a child is to be started. */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

/** How to start a child run. */
export interface ChildOptions {
  /**
   * Id of the child run, 1 to 128 bytes. By default it is derived from the parent and the place of
   * the call, so that a replay finds the same child. A child of that id that another run started is
   * an error.
   */
  readonly id?: string;
  /**
   * What becomes of the child when this run is canceled or runs out of time before it has ended:
   * it is canceled too, or left alone.
   * @defaultValue "cancel"
   */
  readonly whenCanceled?: "cancel" | "leave";
}

/** Whether the child goes on when its parent is canceled. @internal */
export function isLeftWhenCanceled({ whenCanceled = "cancel" }: ChildOptions): boolean {
  if (whenCanceled !== "cancel" && whenCanceled !== "leave")
    throw new InvalidInputError(
      `The option "whenCanceled" of a child is ${describe(whenCanceled)}. Expected "cancel" or "leave".`,
      { value: whenCanceled },
    );
  return whenCanceled === "leave";
}
