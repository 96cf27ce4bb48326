// How smooth the overview is: `PACELINE_BINARY=... CHROMIUM=... node measure.mjs [SECONDS]` shows 50 resources that all change at 20 updates a second,
// and tells the times between frames.
import { Server, closeBrowser, onPage, openBrowser } from "./tests/kit.mjs";

const seconds = Number(process.argv[2] ?? 10);
const names = Array.from({ length: 50 }, (_, at) => `team/model-${String(at).padStart(2, "0")}`);
const limits = names.map((name) => `  ${name}: {requests_per_minute: 6000, tokens_per_minute: 600_000, concurrent_requests: 40}`).join("\n");
await openBrowser();
const server = await Server.start({ limits: `resources:\n${limits}\n` });
try {
  // Of a bucket that refills something is other in every look.
  await Promise.all(names.map((resource) => server.granted({ resource, tokens: 300_000 })));
  const ends = names.slice(0, 10).map((name) => server.load(name, 1));
  await onPage(`${server.url}/?rate=20`, {}, async (page) => {
    await page.waitForTimeout(3_000);
    const session = await page.context().newCDPSession(page);
    // Time of the thread, not of the clock: what others on the machine take is not the page's.
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const metrics = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
    const before = await metrics();
    const frames = await page.evaluate((ms) => new Promise((resolve) => {
      const [times, end] = [[], performance.now() + ms];
      let updates = 0;
      const cell = document.querySelector("article .limits tbody tr:last-child td.number");
      const observer = new MutationObserver(() => { updates += 1; });
      observer.observe(cell, { characterData: true, subtree: true, attributes: true });
      const frame = (at) => {
        times.push(at);
        if (at < end) requestAnimationFrame(frame);
        else resolve({ times, updates });
      };
      requestAnimationFrame(frame);
    }), seconds * 1_000);
    const after = await metrics();
    const deltas = frames.times.slice(1).map((time, at) => time - frames.times[at]).sort((a, b) => a - b);
    const part = (share) => deltas[Math.min(deltas.length - 1, Math.floor(deltas.length * share))].toFixed(1);
    const elapsed = (frames.times.at(-1) - frames.times[0]) / 1_000;
    const busy = (name) => (100 * (after[name] - before[name]) / elapsed).toFixed(1);
    console.log(`${(deltas.length / elapsed).toFixed(1)} frames a second; ms between frames: median ${part(0.5)}, 95 % ${part(0.95)}, 99 % ${part(0.99)}, longest ${part(1)}`);
    console.log(`over 25 ms: ${deltas.filter((delta) => delta > 25).length} of ${deltas.length}; changes seen in a card: ${(frames.updates / elapsed).toFixed(1)} a second`);
    console.log(`main thread's own time: script ${busy("ScriptDuration")} %, layout ${busy("LayoutDuration")} %, style ${busy("RecalcStyleDuration")} %, all tasks ${busy("TaskDuration")} %`);
  });
  await Promise.all(ends.map((end) => end()));
} finally {
  await closeBrowser();
  await server.close();
}
