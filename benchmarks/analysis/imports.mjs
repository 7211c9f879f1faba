// node imports.mjs FOLDER ROOT: the imports of all files below ROOT as the TypeScript compiler resolves them,
// as a JSON list of [importing file, imported file]. FOLDER has `typescript` in its node_modules.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const ts = createRequire(path.join(process.argv[2], "package.json"))("typescript");
const root = fs.realpathSync(process.argv[3]);
const source = /\.[cm]?[jt]sx?$/;
const known = new Map();

function* files(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith(".")) yield* files(full);
    else if (entry.isFile() && source.test(entry.name)) yield full;
  }
}

function options(folder) {
  if (!known.has(folder)) known.set(folder, read(folder));
  return known.get(folder);
}

function read(folder) {
  for (const name of ["tsconfig.json", "jsconfig.json"]) {
    const file = path.join(folder, name);
    if (fs.existsSync(file)) {
      const { config } = ts.readConfigFile(file, ts.sys.readFile);
      const found = ts.parseJsonConfigFileContent(config ?? {}, ts.sys, folder, undefined, file).options;
      return { ...found, allowJs: true, moduleResolution: ts.ModuleResolutionKind.Bundler };
    }
  }
  const above = path.dirname(folder);
  if (folder === root || above === folder) return { allowJs: true, moduleResolution: ts.ModuleResolutionKind.Bundler };
  return options(above);
}

const edges = [];
for (const file of files(root)) {
  const { importedFiles } = ts.preProcessFile(fs.readFileSync(file, "utf8"), true, true);
  for (const { fileName } of importedFiles) {
    const found = ts.resolveModuleName(fileName, file, options(path.dirname(file)), ts.sys).resolvedModule;
    const target = found && fs.realpathSync(found.resolvedFileName);
    if (target?.startsWith(root + path.sep) && target !== file) {
      edges.push([path.relative(root, file), path.relative(root, target)]);
    }
  }
}
console.log(JSON.stringify(edges));
