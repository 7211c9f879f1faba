// Answers, for each path on stdin, what ESLint's complexity rule says of every function of that file.
//
//   node eslint.mjs FOLDER   (which has node_modules with eslint and typescript-eslint)
//
// A line of JSON per path: {functions: [[name, line, complexity]...]} or {error}. Functions have the names of the
// variable, property or field that they are given to, as ours do; ESLint itself names fewer of them.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { Linter } = require("eslint");
const rule = require("eslint/use-at-your-own-risk").builtinRules.get("complexity");
const { parser } = require("typescript-eslint");

let found = [];

// The rule itself, which reports to us every function with a complexity above 0.
const reporting = {
  meta: { type: "suggestion", schema: [] },
  create: (context) =>
    rule.create(
      Object.create(context, {
        options: { value: [0] },
        sourceCode: { value: context.sourceCode },
        report: { value: ({ node, data }) => found.push([node, data]) },
      }),
    ),
};

function nameOf(node) {
  const { parent } = node;
  if (node.type === "FunctionDeclaration") return node.id ?? { name: "default", loc: parent.loc };
  switch (parent.type) {
    case "VariableDeclarator":
      return parent.id.type === "Identifier" ? parent.id : null;
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.value === node ? parent.key : null;
    case "Property":
      return parent.value === node ? parent.key : null;
    case "AssignmentExpression":
      if (parent.right !== node || parent.operator !== "=") return null;
      if (parent.left.type === "MemberExpression") return parent.left.computed ? null : parent.left.property;
      return parent.left.type === "Identifier" ? parent.left : null;
    case "ExportDefaultDeclaration":
      return { name: "default", loc: parent.loc };
  }
  return null;
}

function describe([node, data], text) {
  const key = nameOf(node);
  if (!key) return ["", node.loc.start.line, data.complexity];
  const computed = node.parent.computed && node.parent.key === key;
  const line = key.loc.start.line;
  if (computed) return [`[${text.slice(...key.range)}]`, line, data.complexity];
  if (key.type === "PrivateIdentifier") return [`#${key.name}`, line, data.complexity];
  return [String(key.name ?? key.value), line, data.complexity];
}

function measure(path) {
  const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  const typed = /\.[mc]?tsx?$/.test(path);
  const extension = path.match(/\.\w+$/)[0];
  const attempts = typed ? ["module"] : ["module", "commonjs", "script"];
  let fatal;
  for (const sourceType of attempts) {
    found = [];
    const languageOptions = { ecmaVersion: "latest", sourceType, parserOptions: { ecmaFeatures: { jsx: true } } };
    if (typed) Object.assign(languageOptions, { parser, parserOptions: {} });
    const messages = new Linter({ configType: "flat" }).verify(
      text,
      [
        {
          files: ["**/*.{ts,tsx,mts,cts,js,jsx,mjs,cjs}"],
          plugins: { our: { rules: { reporting } } },
          linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "off" },
          languageOptions,
          rules: { "our/reporting": "error" },
        },
      ],
      { filename: `file${extension}` },
    );
    fatal = messages.find((message) => message.fatal);
    if (!fatal) break;
  }
  if (fatal) return { error: fatal.message };
  const functions = found.filter(([, data]) => !data.name.startsWith("Class "));
  return { functions: functions.map((each) => describe(each, text)) };
}

for await (const path of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(measure(path)));
}
