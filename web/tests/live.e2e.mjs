// What is shown is what the server says, also when that changes, and when the server goes away.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, card, closeBrowser, onPage, openBrowser, shown, until } from "./kit.mjs";

before(openBrowser);
after(closeBrowser);

test("numbers are those of the API while load runs", async () => {
  const server = await Server.start();
  const end = server.load("openai/gpt-4o", 12);
  try {
    await onPage(server.url, {}, async (page) => {
      await card(page, "openai/gpt-4o").waitFor();
      // Two looks at the server around one at the page: what the page shows lies between them, or is a look later.
      let agreed = 0;
      await until("the page agrees with the API ten times", async () => {
        const look = async () => (await server.api("GET", "/v1/resources/openai/gpt-4o")).json;
        const first = await look();
        await page.waitForTimeout(400);
        const seen = await shown(page, "openai/gpt-4o");
        const last = await look();
        const requests = (of) => of.limits.find((limit) => limit.metric === "requests");
        const [low, high] = [requests(first).used, requests(last).used].sort((a, b) => a - b);
        const used = seen.limits[requests(first).name].used;
        assert.ok(seen.inFlight <= 8 && seen.inFlight + seen.waiting > 0, JSON.stringify(seen));
        for (const limit of Object.values(seen.limits)) assert.ok(limit.used >= 0 && limit.held >= 0);
        if (used >= low - 12 && used <= high + 12) agreed += 1;
        return agreed >= 10;
      });
      await end();
      await until("they are the same once nothing happens", async () => {
        const said = (await server.api("GET", "/v1/resources/openai/gpt-4o")).json;
        const seen = await shown(page, "openai/gpt-4o");
        const calls = said.limits.find((limit) => limit.metric === "concurrent_requests");
        return seen.inFlight === said.in_flight && seen.inFlight === 0 && seen.waiting === said.waiting
          && seen.limits[calls.name].left === calls.left && seen.limits[calls.name].used === calls.used;
      });
    });
  } finally {
    await end();
    await server.close();
  }
});

test("who waits is said in words, and clears", async () => {
  const server = await Server.start();
  try {
    const permit = await server.granted({ resource: "solo", lane: "batch" });
    await onPage(server.url, {}, async (page) => {
      await until("the call in flight is shown", async () => (await shown(page, "solo")).inFlight === 1);
      const waiting = server.api("POST", "/v1/acquire", { resource: "solo", lane: "interactive", wait_seconds: 60 });
      waiting.catch(() => {});
      await until("the page says that it waits, and for what", async () => {
        const { sentence, waiting } = await shown(page, "solo");
        return waiting === 1 && /^Waits for calls in flight: all 1 are out; 1 waits, for /.test(sentence);
      });
      const headline = page.locator("section.headline");
      assert.match(await headline.innerText(), /solo\s+waits for calls in flight/);
      await card(page, "solo").getByRole("link", { name: "solo" }).click();
      const lane = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "interactive" }) });
      await until("the line has a row for the lane", async () => /calls in flight \(the first want 1, 0 left\)\s+when a call ends/.test(await lane.innerText()));
      await until("there is a chart for the limit, and those of all", async () => await page.locator(".chart").count() === 4);
      await page.getByLabel("Lane", { exact: true }).fill("batch");
      await page.getByRole("button", { name: "Ask" }).click();
      await page.getByText(/Not yet: it wants 1 of calls in flight/).waitFor();
      await page.goBack();
      await server.settle(permit);
      const second = (await waiting).json.permit;
      await until("the wait is over", async () => (await shown(page, "solo")).waiting === 0);
      await server.settle(second);
      await until("it is calm", async () => (await page.locator(".headline.is-calm").innerText()).startsWith("Nobody waits. 0 calls"));
    });
  } finally {
    await server.close();
  }
});

test("events are found by kind and by words, and go on after a restart", async () => {
  const server = await Server.start();
  try {
    const permit = await server.granted({ resource: "solo", lane: "batch" });
    await server.api("POST", "/v1/acquire", { resource: "openai/gpt-4o", tokens: 5 });
    await onPage(`${server.url}/#/events`, { expected: ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY", "ERR_CONNECTION_RESET"] }, async (page) => {
      const rows = page.locator("table.events tbody tr");
      await until("what was before is there", async () => (await rows.count()) >= 2);
      await page.getByLabel("Kind").selectOption("granted");
      assert.equal(await rows.count(), 2);
      assert.ok((await rows.last().innerText()).includes(permit));
      await page.getByLabel("Kind").selectOption("");
      await page.getByLabel("Find").fill("gpt-4o granted");
      await until("it is found by words", async () => (await rows.count()) === 1 && /openai\/gpt-4o/.test(await rows.first().innerText()));
      await page.getByLabel("Find").fill("");
      const before = await rows.count();
      await server.halt();
      await server.restart();
      await server.api("POST", "/v1/resources/solo/pause", { seconds: 30 });
      await until("it goes on, and keeps what it had", async () => {
        const all = await rows.allInnerTexts();
        const isThere = all.length > before && all.some((row) => /paused/.test(row)) && all.some((row) => row.includes(permit));
        return isThere || assert.fail(JSON.stringify({ before, all }));
      });
    });
  } finally {
    await server.close();
  }
});

test("a server that goes away leaves what it said as old, and is found again", async () => {
  const server = await Server.start();
  try {
    await onPage(server.url, { expected: ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY", "ERR_CONNECTION_RESET"] }, async (page) => {
      await page.getByText("Live", { exact: true }).waitFor();
      await server.halt("SIGKILL");
      await page.getByText("Not live").waitFor();
      await page.getByText(/What is shown is .* old\./).waitFor();
      assert.equal(await card(page, "solo").count(), 1, "what was known stays");
      await server.restart();
      await page.getByText("Live", { exact: true }).waitFor();
      assert.equal(await page.getByText("What is shown is").count(), 0);
      const permit = await server.granted({ resource: "solo", lane: "batch" });
      await until("what the new server does is shown", async () => (await shown(page, "solo")).inFlight === 1);
      await server.settle(permit);
    });
  } finally {
    await server.close();
  }
});
