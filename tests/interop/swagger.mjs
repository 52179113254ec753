// Swagger UI in a real browser: it loads, shows every operation, and gives points with an API key.
//
// Arguments: the server's address, an API key, and perhaps a file for a picture of the page at its end.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, key, picture] = process.argv.slice(2);
const wrong = [];
const must = (holds, what) => {
  if (!holds) throw new Error(what);
};

async function look(page) {
  const asked = [];
  page.on("request", (request) => {
    asked.push(request);
    const { origin, protocol } = new URL(request.url());
    if (protocol !== "data:" && origin !== url) wrong.push(`asks elsewhere: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) wrong.push(`${response.status()} for ${response.url()}`);
  });
  page.on("requestfailed", (request) => wrong.push(`not loaded: ${request.url()}`));
  // What the page's policy forbids is told on the console too.
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type())) wrong.push(`console: ${line.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));

  await page.goto(`${url}/`);
  must(page.url().startsWith(`${url}/docs/`), `/ leads to ${page.url()}`);
  await page.waitForSelector(".opblock");
  const paths = Object.values((await (await fetch(`${url}/openapi.json`)).json()).paths);
  const count = paths.reduce((sum, item) => sum + Object.keys(item).length, 0);
  const shown = await page.locator(".opblock").count();
  must(shown === count, `${shown} of ${count} operations are shown`);

  await page.click(".auth-wrapper .authorize");
  const form = page.locator(".auth-container", { hasText: "api_key" }).first();
  await form.locator("input").fill(key);
  await form.locator("button.authorize").click();
  await page.click(".auth-container button.btn-done");

  const award = page.locator("#operations-awards-award");
  await award.locator(".opblock-summary-control").click();
  await award.locator("button.execute").waitFor();
  const body = award.locator("textarea.body-param__text");
  must((await body.inputValue()).includes('"br_harvest"'), "the form does not begin with the example");
  const before = asked.length;
  await award.locator("button.execute").click();
  const live = award.locator(".live-responses-table");
  await live.waitFor();
  const status = await live.locator(".response-col_status").nth(1).innerText();
  const text = await live.innerText();
  must(status.trim().startsWith("201"), `the award is answered with ${text.slice(0, 600)}`);
  must(text.includes('"points.issued"') && text.includes("tallyhouse-seq"), `no answer is shown: ${text.slice(0, 600)}`);
  const [sent] = asked.slice(before).filter((request) => request.method() === "POST");
  const headers = await sent.allHeaders();
  must(headers.authorization === `Bearer ${key}`, "the key was not sent");
  must(/^[0-9a-f]{32}$/.test(headers["idempotency-key"] ?? ""), "the write got no id");

  const account = page.locator("#operations-accounts-getAccount");
  await account.locator(".opblock-summary-control").click();
  const given = await account.locator('tr[data-param-name="account"] input').inputValue();
  must(given.startsWith("ac_"), "the form does not begin with an account");
  await account.locator("button.execute").click();
  await account.locator(".live-responses-table").waitFor();
  const balance = await account.locator(".live-responses-table").innerText();
  must(balance.includes('"available": 120'), `another balance: ${balance.slice(0, 600)}`);
  if (picture) await page.screenshot({ path: picture, fullPage: true });
  return count;
}

const folder = mkdtempSync(join(tmpdir(), "tallyhouse-browser-"));
const args = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
args.push("--disable-component-update", "--disable-sync", "--no-sandbox");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const viewport = { width: 1280, height: 900 };
const browser = await chromium.launchPersistentContext(folder, { executablePath, args, headless: true, viewport });
try {
  browser.setDefaultTimeout(60_000);
  const count = await look(await browser.newPage());
  must(wrong.length === 0, wrong.join("\n"));
  console.log(`swagger.mjs: ${count} operations shown, points given, nothing asked of others`);
} catch (error) {
  console.error(`swagger.mjs: ${error.message}${wrong.map((one) => `\n  ${one}`).join("")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
