// A page in headless Chromium: node page.mjs URL SELECTOR COUNT. Prints the text of the page once COUNT elements match.
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [url, selector, count] = process.argv.slice(2);
const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
const page = await browser.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(`${message.text()} ${message.location().url ?? ""}`));
await page.goto(url);
try {
  await page.waitForFunction((query, minimum) => document.querySelectorAll(query).length >= minimum, { timeout: 60_000 }, selector, Number(count));
  console.log(await page.evaluate(() => document.body.innerText));
} catch (error) {
  console.error(String(error), await page.evaluate(() => document.body.innerText));
  process.exitCode = 1;
}
await browser.close();
for (const error of errors.filter((text) => !text.includes("favicon"))) {
  console.error(error);
  process.exitCode = 1;
}
