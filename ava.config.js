/** Tests run compiled, in child processes: some of them send signals and start servers. */
export default {
  files: ["dist/test/**/*.test.js", "!dist/test/types/**"],
  workerThreads: false,
  concurrency: 2,
  timeout: "3m",
};
