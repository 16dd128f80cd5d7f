/** Ends a process tidily: on Ctrl-C, when it is told to, and when the process that started it is gone. */

interface Part {
  close(): Promise<void>;
}

/** Closes `part` when this process should end. Tells the process that started it, if any, its name. */
export function closeWhenAsked(part: Part, name: string): void {
  let isClosing = false;
  const close = (): void => {
    if (isClosing) return;
    isClosing = true;
    part.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on("SIGINT", close);
  process.on("SIGTERM", close);
  process.on("disconnect", close);
  process.send?.({ ready: name });
}
