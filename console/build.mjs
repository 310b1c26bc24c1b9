/** Build the page as static files: node build.mjs [FOLDER]. Its server adds config.json to them (src/settings.ts). */
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const folder = resolve(process.argv[2] ?? join(here, "dist"));

await mkdir(folder, { recursive: true });
await build({
  entryPoints: [join(here, "src", "main.ts")],
  outfile: join(folder, "main.js"),
  alias: { "chaincast-client": join(here, "..", "client", "src", "index.ts") },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
});
for (const name of ["index.html", "style.css", "icon.svg"]) await copyFile(join(here, "public", name), join(folder, name));
