// A flock of browser clients (client/tests/flock.mjs) in a page of headless Chromium whose network fails from time to time:
// node soak.mjs. It responds to each line of standard input with a line of JSON. CHAINCAST_FILES serves the files of the page.
import { createInterface } from "node:readline";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const { CHAINCAST_FILES: files, CHAINCAST_URL: url, CHAINCAST_TOPICS: topics, CHAINCAST_CUT_SECONDS: cut } = process.env;
const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
const page = await browser.newPage();
page.on("pageerror", (error) => console.error(String(error)));
await page.goto(`${files}/package.json`);
await page.evaluate(
  async (options) => {
    const [{ connect }, { Flock }] = await Promise.all([import("/dist/index.js"), import("/tests/flock.mjs")]);
    window.flock = new Flock({ connect, WebSocket, tear: (socket) => socket.close(), ...options });
  },
  { url, topics: JSON.parse(topics), cutSeconds: Number(cut) },
);

let [stormy, unplugged] = [false, 0];
const ask = (line) => page.evaluate((what) => window.flock.answer(what), line);
async function unplug() {
  if (!stormy) return;
  unplugged += (await ask("state")).open;
  await page.setOfflineMode(true);
  setTimeout(async () => {
    await page.setOfflineMode(false);
    setTimeout(unplug, Number(cut) * 500);
  }, 300);
}
for await (const line of createInterface(process.stdin)) {
  if (line === "storm") {
    stormy = true;
    setTimeout(unplug, Number(cut) * 200);
  }
  if (line === "calm") stormy = false;
  const answer = await ask(line);
  console.log(JSON.stringify({ ...answer, cuts: answer.cuts + unplugged }));
}
await browser.close();
process.exit(0);
