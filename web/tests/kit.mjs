// Servers, load and pages for tests: all of them real.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const BINARY = process.env.PACELINE_BINARY;
const BROWSER = process.env.CHROMIUM;
assert.ok(BINARY && BROWSER, "web/check.sh names the program and the browser");

export const LIMITS = `
openai:
  gpt-4o: {requests_per_minute: 600, tokens_per_minute: 30_000, concurrent_requests: 8}
resources:
  solo: {concurrent_requests: 1, lanes: {interactive: {priority: 10}, batch: {}}}
`;

/// Waits until something is so; fails with what it was after half a minute.
export async function until(what, look) {
  let last;
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain: ${what}; at last: ${last instanceof Error ? last.stack : JSON.stringify(last)}`);
}

/// A running server; `restart` begins it again where it was.
export class Server {
  static async start({ limits = LIMITS } = {}) {
    const server = new Server();
    server.home = await mkdtemp(join(tmpdir(), "paceline-web-"));
    server.config = limits === null ? [] : ["--config", join(server.home, "limits.yaml")];
    if (limits !== null) await writeFile(server.config[1], limits);
    await server.begin("127.0.0.1:0");
    return server;
  }

  async begin(listen) {
    const args = ["serve", "--listen", listen, "--state", join(this.home, "state"), ...this.config];
    this.child = spawn(BINARY, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.said = "";
    this.child.stderr.on("data", (data) => { this.said += data; });
    this.url = await until("the server starts", () => {
      assert.equal(this.child.exitCode, null, this.said);
      return /answers at (http:\S+)/.exec(this.said)?.[1];
    });
  }

  async halt(signal = "SIGTERM") {
    this.child.kill(signal);
    await this.ended;
  }

  async restart() {
    await this.begin(new URL(this.url).host);
  }

  async close() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.halt("SIGKILL");
    await rm(this.home, { recursive: true, force: true });
  }

  async api(method, path, body, key = this.key) {
    const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }), ...(key ? { authorization: `Bearer ${key}` } : {}) };
    const response = await fetch(this.url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    const json = text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, json };
  }

  async granted(body) {
    const answer = await this.api("POST", "/v1/acquire", body);
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    return answer.json.permit;
  }

  async settle(permit, body) {
    const answer = await this.api("POST", `/v1/permits/${permit}/settle`, body ?? {});
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
  }

  /// Keeps so many callers busy with a resource; the returned function ends them.
  load(resource, callers, tokens = 50) {
    let isOver = false;
    const one = async () => {
      while (!isOver) {
        const answer = await this.api("POST", "/v1/acquire", { resource, tokens, wait_seconds: 1 });
        if (answer.status === 200) {
          await new Promise((resolve) => setTimeout(resolve, 40));
          await this.settle(answer.json.permit, { tokens: Math.ceil(tokens / 3) });
        } else if (answer.status === 202) {
          await this.api("DELETE", answer.json.poll.split("?")[0]);
        }
      }
    };
    const all = Promise.all(Array.from({ length: callers }, one));
    // What goes wrong is told to whoever ends it.
    all.catch(() => {});
    return async () => { isOver = true; await all; };
  }
}

let browser;

export async function openBrowser() {
  browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

export async function closeBrowser() {
  await browser?.close();
}

/// Runs a test on a page of its own, and checks that the page complained of nothing and asked nobody else.
export async function onPage(url, options, test) {
  const { expected = [], ...context } = options;
  const own = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
  const page = await own.newPage();
  page.setDefaultTimeout(30_000);
  const [wrong, home] = [[], `${new URL(url).origin}/`];
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  page.on("console", (message) => {
    const text = message.text();
    if (["error", "warning"].includes(message.type()) && !expected.some((one) => text.includes(one))) wrong.push(`console: ${text}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(home) && !request.url().startsWith("data:")) wrong.push(`foreign: ${request.url()}`);
  });
  try {
    await page.goto(url);
    await test(page);
    assert.deepEqual(wrong, []);
  } finally {
    await own.close();
  }
}

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/// Checks a page by all rules of axe-core. The script goes in by the debugger: the page's policy lets no other in.
export async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html + " " + node.failureSummary).join(" | ")}`);
  assert.deepEqual(told, [], what);
}

export function card(page, name) {
  return page.locator(`article[data-resource="${name}"]`);
}

/// What a card shows, as numbers.
export async function shown(page, name) {
  return await card(page, name).evaluate((card) => {
    const field = (name) => card.querySelector(`[data-field="${name}"]`).textContent;
    const limits = [...card.querySelectorAll("tr[data-limit]")].map((row) => {
      const { left, used, held } = row.querySelector("[data-left]").dataset;
      return [row.dataset.limit, { left: Number(left), used: Number(used), held: Number(held) }];
    });
    return {
      waiting: Number(field("waiting")), inFlight: Number(field("in-flight")), limits: Object.fromEntries(limits),
      sentence: card.querySelector(".sentence").textContent,
    };
  });
}
