/** Tests run compiled, in child processes: some of them send signals and start servers. */
export default {
  files: ["dist/test/**/*.test.js", "!dist/test/types/**"],
  workerThreads: false,
  // A file keeps less than one processor busy: its processes wait for servers, timers and each other.
  // Measured on two processors: three at a time end a tenth sooner than two, and as soon as four.
  concurrency: 3,
  timeout: "10m",
};
