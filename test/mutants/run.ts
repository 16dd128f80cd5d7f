/** What `npm run mutants` runs after the build: every mutant, on one server and on three. */
process.env.CONTRAIL_MUTANTS = "all";
process.argv.push("dist/test/holes/*.test.js", "--match", "*not so the mutant*");
await import("../run.ts");
