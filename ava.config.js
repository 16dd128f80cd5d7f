/** Tests run compiled, in child processes: some of them send signals and start servers. */
export default {
  files: ["dist/test/**/*.test.js", "!dist/test/types/**"],
  workerThreads: false,
  // One file at a time where nobody watches: each of them starts clusters and kills processes.
  concurrency: process.env.CI ? 1 : 2,
  timeout: "10m",
};
