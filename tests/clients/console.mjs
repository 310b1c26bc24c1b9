// The live console in headless Chromium: node console.mjs URL SECONDS [FOLDER for screenshots]. Prints a line of JSON with frames,
// errors, memory, layout shifts, and accessibility violations.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [url, seconds, folder] = process.argv.slice(2);
const WIDTHS = { desktop: [1440, 900], phone: [390, 844] };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
const page = await browser.newPage();
const errors = [];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("requestfailed", (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`));

async function resize(width, theme, motion = "no-preference") {
  const [w, h] = WIDTHS[width];
  await page.setViewport({ width: w, height: h });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: theme },
    { name: "prefers-reduced-motion", value: motion },
  ]);
}
const text = (id) => page.$eval(`#${id}`, (element) => element.textContent);

await resize("desktop", "dark");
await page.goto(url);
await page.waitForFunction(() => document.querySelector("#panel-trades tbody tr:not([hidden])"), { timeout: 60_000 });
await page.waitForFunction(() => /\d/.test(document.getElementById("chosen-price").textContent), { timeout: 60_000 });

// Measure frames, layout shifts and memory.
await page.evaluate(() => {
  window.seen = { frames: 0, longest: 0, shift: 0, shifted: new Set() };
  let last = performance.now();
  const frame = (now) => {
    window.seen.frames += 1;
    window.seen.longest = Math.max(window.seen.longest, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      window.seen.shift += value;
      for (const { node } of sources) window.seen.shifted.add(node?.id || node?.className || node?.nodeName || "?");
    }
  }).observe({ type: "layout-shift" });
});
const session = await page.createCDPSession();
const heaps = [];
const total = async () => Number((await text("total")).replaceAll(",", ""));
const [began, before] = [performance.now(), await total()];
for (let n = 1; n <= 6; n++) {
  await pause((Number(seconds) * 1000) / 6);
  await session.send("HeapProfiler.collectGarbage");
  heaps.push((await session.send("Runtime.getHeapUsage")).usedSize);
}
const lasted = (performance.now() - began) / 1000;
const seen = await page.evaluate(() => ({ ...window.seen, shifted: [...window.seen.shifted] }));
const events = (await total()) - before;
const [state, latency] = [await text("state"), await text("latency")];

// Use the keyboard: choose a token and a tab. A feed with the focus must not move.
await page.focus("#tokens button");
await page.keyboard.press("Enter");
const pressed = await page.$eval(":focus", (element) => element.getAttribute("aria-pressed"));
await page.focus("#tab-trades");
await page.keyboard.press("ArrowRight");
const tab = await page.$eval(":focus", (element) => `${element.id} ${element.getAttribute("aria-selected")}`);
await page.keyboard.press("ArrowLeft");
await page.click("#pause");
const held = await page.$eval("#panel-trades tbody", (body) => body.textContent);
await pause(1500);
const stillHeld = held === (await page.$eval("#panel-trades tbody", (body) => body.textContent));
await page.click("#pause");

// Check accessibility and width, at all sizes and in both themes.
const hindrances = [];
const wide = [];
for (const width of Object.keys(WIDTHS)) {
  for (const theme of ["dark", "light"]) {
    await resize(width, theme, "reduce"); // an element that fades in has too little contrast for a moment
    await pause(700);
    if (folder) await page.screenshot({ path: join(folder, `console-${width}-${theme}.png`), fullPage: width === "phone" });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    for (const { id, nodes } of violations) hindrances.push(`${width} ${theme}: ${id}: ${nodes.map((node) => node.html).join(" | ").slice(0, 300)}`);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wide.push(`${width} ${theme}`);
  }
}
await browser.close();
console.log(
  JSON.stringify({
    state, latency, errors, hindrances, wide, heaps, pressed, tab, stillHeld,
    events, seconds: lasted, rate: events / lasted, fps: seen.frames / lasted, longest: seen.longest, shift: seen.shift, shifted: seen.shifted,
  }),
);
