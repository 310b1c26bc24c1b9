/**
 * Print the size of each module, bundled, minified and zipped, and enforce the limit. The client's bundle is written to `dist/`,
 * for pages without a bundler.
 */
import { build } from "esbuild";
import { writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const LIMIT = 6 * 1024;

const sizes = {};
for (const [name, external] of [["index", []], ["react", ["react"]]]) {
  const { outputFiles } = await build({
    entryPoints: [`dist/${name}.js`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external,
    write: false,
  });
  sizes[name] = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}.js: ${sizes[name]} bytes gzipped (${outputFiles[0].contents.length} minified)`);
  if (name === "index") await writeFile("dist/chaincast-client.min.js", outputFiles[0].contents);
}
if (sizes.index >= LIMIT) {
  console.error(`index.js: ${sizes.index} bytes gzipped; at most ${LIMIT - 1}`);
  process.exit(1);
}
