// Pictures of a running server's dashboard: `CHROMIUM=... node shots.mjs http://127.0.0.1:7411 [FOLDER] [RESOURCE]` writes the overview and the
// page of a resource (the first that waits, or the first), light and dark, and the overview on a phone.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, folder = "shots", wanted] = process.argv.slice(2);
if (!url) throw new Error("name the server, as in http://127.0.0.1:7411");
const key = process.env.PACELINE_API_KEY;
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, colorScheme, viewport, scale] of [
  ["light", "light", { width: 1280, height: 800 }, 2], ["dark", "dark", { width: 1280, height: 800 }, 2], ["phone", "light", { width: 360, height: 740 }, 2],
]) {
  const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: scale });
  const page = await context.newPage();
  if (key) await page.addInitScript((key) => sessionStorage.setItem("paceline-key", key), key);
  await page.goto(url);
  await page.locator("article").first().waitFor();
  // The sparklines fill from the history.
  await page.waitForTimeout(2_500);
  await page.screenshot({ path: join(folder, `overview-${name}.png`) });
  const resource = wanted ?? await page.locator("article").first().getAttribute("data-resource");
  await page.goto(`${url}/#/resource/${encodeURIComponent(resource)}`);
  await page.locator(".chart .u-over").first().waitFor();
  await page.waitForTimeout(1_500);
  await page.screenshot({ path: join(folder, `resource-${name}.png`), fullPage: name !== "phone" });
  await context.close();
}
await browser.close();
