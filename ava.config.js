/** Tests run compiled, in child processes: some of them send signals and start servers. */
export default {
  files: ["dist/test/**/*.test.js", "!dist/test/types/**"],
  workerThreads: false,
  // Most files keep one processor busy, by the processes that they start; some only wait. More files
  // at a time than processors would not end sooner.
  concurrency: 2,
  timeout: "10m",
};
