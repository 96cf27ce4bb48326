// What administrators do, done by clicks, and seen by the API.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, card, closeBrowser, onPage, openBrowser, until } from "./kit.mjs";

before(openBrowser);
after(closeBrowser);

test("limits are added, changed, paused, resumed and removed", async () => {
  const server = await Server.start();
  const of = async (name) => (await server.api("GET", `/v1/resources/${name}`)).json;
  try {
    await onPage(`${server.url}/#/limits`, { expected: ["422 (Unprocessable"] }, async (page) => {
      await page.getByRole("button", { name: "Add a resource" }).click();
      await page.getByLabel("Name").fill("team/draft");
      await page.getByRole("textbox", { name: "Limits" }).fill('{"requests_per_minute": "many"}');
      await page.getByRole("button", { name: "Add", exact: true }).click();
      await page.getByRole("alert").filter({ hasText: "requests_per_minute" }).waitFor();
      await page.getByRole("textbox", { name: "Limits" }).fill('{"requests_per_minute": 120, "concurrent_requests": 3}');
      await page.getByRole("button", { name: "Add", exact: true }).click();
      const row = page.locator('tr[data-resource="team/draft"]');
      await row.getByText("120 requests per minute").waitFor();
      assert.equal((await of("team/draft")).limits.length, 2);

      await row.getByRole("button", { name: "Change" }).click();
      await page.getByRole("textbox", { name: "Limits" }).fill('{"requests_per_minute": 240}');
      await page.getByLabel("Change only what is named").check();
      await page.getByRole("button", { name: "Put into force" }).click();
      await row.getByText("240 requests per minute").waitFor();
      assert.equal((await of("team/draft")).limits.length, 2, "a patch leaves the rest");
      await row.getByRole("button", { name: "Change" }).click();
      await page.getByRole("textbox", { name: "Limits" }).fill('{"requests_per_minute": 60}');
      await page.getByRole("button", { name: "Put into force" }).click();
      await row.getByText("60 requests per minute", { exact: true }).waitFor();
      assert.equal((await of("team/draft")).limits.length, 1);

      await row.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
      assert.equal((await of("team/draft")).paused, false, "nothing is done that was not confirmed");
      await row.getByRole("button", { name: "Pause" }).click();
      await page.getByLabel("Seconds").fill("");
      await page.getByLabel("Reason").fill("the bill is too high");
      await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
      await row.getByText("paused").waitFor();
      assert.deepEqual([(await of("team/draft")).paused, (await of("team/draft")).paused_for_seconds], [true, null]);
      await page.getByRole("link", { name: "Overview" }).click();
      await card(page, "team/draft").getByText("Is paused until it is resumed (the bill is too high); nobody waits.").waitFor();
      await page.getByRole("link", { name: "Limits" }).click();
      await row.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
      await until("it goes on", async () => (await of("team/draft")).paused === false);

      await row.getByRole("button", { name: "Remove" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
      await row.waitFor({ state: "detached" });
      assert.equal((await server.api("GET", "/v1/resources/team/draft")).status, 404);
      const file = page.locator('tr[data-resource="solo"]');
      assert.equal(await file.getByRole("button", { name: "Change" }).count(), 0, "the file's limits are the file's");
    });
  } finally {
    await server.close();
  }
});

test("a key is made and shown once, lets in, and is revoked", async () => {
  const server = await Server.start();
  try {
    const expected = ["401 (Unauthorized)", "403 (Forbidden)"];
    await onPage(`${server.url}/#/keys`, { expected }, async (page) => {
      await page.getByText("There are none").waitFor();
      await page.getByRole("button", { name: "Make a key" }).click();
      await page.getByLabel("Name").fill("ops");
      await page.getByLabel("read").uncheck();
      await page.getByLabel("admin").check();
      await page.getByRole("button", { name: "Make", exact: true }).click();
      const secret = (await page.locator(".secret").innerText()).trim();
      assert.match(secret, /^pk_/);
      server.key = secret;
      await page.getByRole("button", { name: "I have it" }).click();

      await page.getByText("This server needs a key.").waitFor();
      assert.equal(await page.locator(".secret").count(), 0);
      await page.getByLabel("Key").fill("pk_wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("The key was refused").waitFor();
      await page.getByLabel("Key").fill(secret);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.locator('tr[data-key="ops"]').waitFor();
      await page.getByText("Live", { exact: true }).waitFor();
      assert.ok(!page.url().includes("pk_"), "no key is in an address");
      assert.equal(await page.evaluate(() => Object.values(localStorage).join().includes("pk_")), false);
      await page.reload();
      await page.locator('tr[data-key="ops"]').waitFor();

      await page.getByRole("button", { name: "Make a key" }).click();
      await page.getByLabel("Name").fill("eyes");
      await page.getByLabel("Resources").fill("solo");
      await page.getByRole("button", { name: "Make", exact: true }).click();
      const eyes = (await page.locator(".secret").innerText()).trim();
      await page.getByRole("button", { name: "I have it" }).click();
      assert.match(await page.locator('tr[data-key="eyes"]').innerText(), /read\s+solo/);
      await onPage(server.url, { expected }, async (other) => {
        await other.getByLabel("Key").fill(eyes);
        await other.getByRole("button", { name: "Sign in" }).click();
        await card(other, "solo").waitFor();
        assert.equal(await other.locator("article").count(), 1, "a key sees what it is for");
        await other.getByRole("link", { name: "Keys" }).click();
        await other.getByText("this key may not do that").waitFor();
        await page.locator('tr[data-key="eyes"]').getByRole("button", { name: "Revoke" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
        await page.locator('tr[data-key="eyes"]').waitFor({ state: "detached" });
        await other.reload();
        await other.getByText("The key was refused").waitFor();
      });
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByText("This server needs a key.").waitFor();
    });
  } finally {
    await server.close();
  }
});
