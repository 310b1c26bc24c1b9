// Run code in headless Chromium, with the browser build of socket.io-client: node browser.mjs CODE. `io` and `WebSocket` are
// global, as in a page. Without CODE, only check that the browser starts.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const library = join(dirname(createRequire(import.meta.url).resolve("socket.io-client")), "..", "..", "dist");
const observing = readFileSync(new URL("observing.mjs", import.meta.url), "utf8").replace("export ", "");
const browser = await puppeteer.launch({
  args: chromium.args,
  executablePath: await chromium.executablePath(),
  headless: "shell",
});
if (process.argv.length < 3) {
  await browser.close(); // without CODE the browser only had to start
  process.exit(0);
}
const page = await browser.newPage();
await page.exposeFunction("report", (what) => process.stdout.write(`${JSON.stringify(what)}\n`));
page.on("pageerror", (error) => process.stdout.write(`${JSON.stringify({ failed: String(error) })}\n`));
await page.addScriptTag({ path: join(library, "socket.io.js") });
const setUp = `Object.assign(window, observing(window, ${JSON.stringify(process.env.CHAINCAST_URL)}, window.report));`;
await page.addScriptTag({ content: `${observing}\n${setUp}` });
await page.addScriptTag({ type: "module", content: readFileSync(process.argv[2], "utf8") });

createInterface({ input: process.stdin })
  .on("line", (line) => page.evaluate((what) => window.send(what), JSON.parse(line)))
  .on("close", () => browser.close().then(() => process.exit(0)));
