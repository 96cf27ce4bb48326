// For everybody: by keyboard, read aloud, light and dark, on a phone; and for nobody else: what may load, and from where.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, accessible, card, closeBrowser, onPage, openBrowser, until } from "./kit.mjs";

let server;
const ended = [];
before(async () => {
  await openBrowser();
  server = await Server.start();
  ended.push(await server.granted({ resource: "solo", lane: "batch" }));
  await server.api("PUT", "/v1/resources/a-resource-with-a-rather-long-name-that-somebody-chose", { requests_per_minute: 10, tokens_per_day: 1_000_000 });
  await server.api("POST", "/v1/acquire", { resource: "solo", lane: "interactive", wait_seconds: 0, timeout_seconds: 600 });
  await server.api("POST", "/v1/acquire", { resource: "solo", lane: "batch", try: true });
});
after(async () => {
  await closeBrowser();
  await server.close();
});

const PAGES = {
  "#/": "article", "#/resource/solo": ".chart .u-over", "#/events": "table.events", "#/limits": "tr[data-resource]", "#/keys": "h1",
};

for (const colorScheme of ["light", "dark"]) {
  test(`every page is accessible, ${colorScheme}`, async () => {
    await onPage(server.url, { colorScheme }, async (page) => {
      for (const [hash, sign] of Object.entries(PAGES)) {
        await page.goto(`${server.url}/${hash}`);
        await page.locator(sign).first().waitFor();
        await accessible(page, `${hash} ${colorScheme}`);
      }
      await page.goto(`${server.url}/#/limits`);
      await page.locator('tr[data-resource="solo"]').getByRole("button", { name: "Pause" }).click();
      await page.getByRole("dialog").waitFor();
      await accessible(page, `a dialog, ${colorScheme}`);
    });
  });
}

test("colours follow the system until somebody chooses", async () => {
  await onPage(server.url, { colorScheme: "dark" }, async (page) => {
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    assert.equal(await theme(), "dark");
    await page.getByRole("button", { name: "Dark colours" }).click();
    assert.equal(await theme(), "light");
    await page.reload();
    assert.equal(await theme(), "light");
  });
});

test("the whole way goes by keyboard", async () => {
  await onPage(server.url, {}, async (page) => {
    await card(page, "solo").waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
    for (let at = 0; at < 20 && await focused() !== "solo"; at += 1) await page.keyboard.press("Tab");
    assert.equal(await focused(), "solo");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "solo" }).waitFor();
    await until("the new page has the focus", () => page.evaluate(() => document.activeElement?.id === "main"));
    await page.keyboard.press("Tab");
    assert.match(await focused(), /^Pause/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.match(await focused(), /^Pause/, "the focus is back where it was");
    assert.equal((await server.api("GET", "/v1/resources/solo")).json.paused, false);
  });
});

test("nothing is wider than a phone", async () => {
  await onPage(server.url, { viewport: { width: 360, height: 740 } }, async (page) => {
    for (const [hash, sign] of Object.entries(PAGES)) {
      await page.goto(`${server.url}/${hash}`);
      await page.locator(sign).first().waitFor();
      const [width, most] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(width <= most, `${hash} is ${width} px wide`);
    }
  });
});

test("the page lets in nothing from elsewhere, and what never changes is kept", async () => {
  const page = await server.api("GET", "/");
  const policy = page.headers.get("content-security-policy");
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(part), policy);
  }
  assert.ok(!policy.includes("unsafe"));
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  assert.equal(page.headers.get("referrer-policy"), "no-referrer");
  const again = await fetch(server.url, { headers: { "if-none-match": page.headers.get("etag") } });
  assert.equal(again.status, 304);
  const script = /\/assets\/main-[^"]+/.exec(page.json)[0];
  assert.match((await server.api("GET", script)).headers.get("cache-control"), /immutable/);
  assert.equal((await server.api("GET", "/assets/none.js")).status, 404);
});

test("a first visit loads less than 100 KB", async () => {
  await onPage(server.url, {}, async (page) => {
    await card(page, "solo").waitFor();
    const sizes = await page.evaluate(() => performance.getEntries()
      .filter((entry) => entry.encodedBodySize > 0 && !new URL(entry.name).pathname.startsWith("/v1/"))
      .map((entry) => [new URL(entry.name).pathname, entry.encodedBodySize]));
    const all = sizes.reduce((sum, [, size]) => sum + size, 0);
    console.log(`the overview loads ${all} bytes: ${sizes.map(([name, size]) => `${name} ${size}`).join(", ")}`);
    assert.ok(all > 5_000 && all < 100_000, `${all} bytes`);
  });
});
