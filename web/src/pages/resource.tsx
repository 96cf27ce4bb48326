// One resource: what holds up its line, and how it has been over time.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { get } from "../api";
import { hasLoaded, resources } from "../live";
import { Actions, told } from "../parts/actions";
import { Chart } from "../parts/chart";
import { Limits } from "../parts/limits";
import { Permits } from "../parts/permits";
import { Why } from "../parts/why";
import type { History, Watched } from "../types";
import { binding, clockTime, compact, count, limitWords, mood, oldest, plain, rate, sentence, span } from "../words";

const RANGES: { label: string; seconds: number; step: number; every: number }[] = [
  { label: "5 minutes", seconds: 300, step: 1, every: 1_000 },
  { label: "15 minutes", seconds: 890, step: 1, every: 1_000 },
  { label: "3 hours", seconds: 10_790, step: 10, every: 10_000 },
  { label: "A week", seconds: 604_000, step: 300, every: 60_000 },
];
const chosen = signal(0);

export function Page({ name }: { name: string }) {
  const of = resources.value.get(name);
  if (!of) {
    return hasLoaded.value
      ? <section class="empty"><h1>{name}</h1><p>There is no such resource, or the key is not for it. <a href="#/">All resources</a></p></section>
      : <p class="faint">Looking…</p>;
  }
  const resource = of.value;
  const kind = mood(resource);
  return (
    <>
      <header class="title">
        <h1>{name}</h1> <span class={`tag tag-${kind}`}>{kind}</span>
        <Actions resource={resource} />
      </header>
      <p class={kind === "waits" || kind === "paused" ? "headline" : "headline is-calm"}><strong>{name}</strong> {sentence(resource)}</p>
      <div class="columns">
        <section aria-labelledby="limits">
          <h2 id="limits">Limits</h2>
          <Limits limits={resource.limits} binds={binding(resource)?.limit?.name} name={name} />
          <Facts resource={resource} />
        </section>
        <Why resource={resource} />
      </div>
      <Charts name={name} resource={resource} />
      {resource.owner !== "others" && <Permits name={name} />}
    </>
  );
}

function Facts({ resource }: { resource: Watched }) {
  const waits = resource.wait_p50_seconds == null
    ? "–" : `${span(resource.wait_p50_seconds)} / ${span(resource.wait_p95_seconds ?? 0)} / ${span(resource.wait_max_seconds ?? 0)}`;
  return (
    <>
      <dl class="facts">
        <div><dt>Waiting</dt><dd data-field="waiting">{count(resource.waiting)}</dd></div>
        <div><dt>Oldest</dt><dd>{resource.waiting > 0 ? span(oldest(resource)) : "–"}</dd></div>
        <div><dt>In flight</dt><dd data-field="in-flight">{count(resource.in_flight)}</dd></div>
        <div><dt>Grants/s</dt><dd>{rate(resource.grants_per_second)}</dd></div>
        <div><dt>Refused/s</dt><dd>{rate(resource.refusals_per_second)}</dd></div>
        <div><dt>Waits: median / 95 % / longest</dt><dd>{waits}</dd></div>
      </dl>
      {resource.refused && <p class="refused small">Refused last at {clockTime(resource.refused.at)}: {resource.refused.reason}</p>}
    </>
  );
}

function Charts({ name, resource }: { name: string; resource: Watched }) {
  const [history, setHistory] = useState<History | null>(null);
  const [error, setError] = useState("");
  const range = RANGES[chosen.value] ?? RANGES[0]!;
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let kept: History | null = null;
    const look = (): void => {
      const last = kept?.at.at(-1);
      const since = Math.max(last === undefined ? 0 : last + 1, Date.now() / 1_000 - range.seconds);
      const asked = `/v1/history?resource=${encodeURIComponent(name)}&step=${range.step}&since=${new Date(since * 1_000).toISOString()}`;
      get<History>(asked, abort.signal).then((more) => {
        kept = kept ? joined(kept, more, Date.now() / 1_000 - range.seconds) : more;
        setHistory(kept);
        setError("");
      }, (problem: unknown) => { if (!abort.signal.aborted) setError(told(problem)); })
        .finally(() => { if (!abort.signal.aborted) timer = window.setTimeout(look, range.every); });
    };
    setHistory(null);
    look();
    return () => { abort.abort(); window.clearTimeout(timer); };
  }, [name, range]);

  return (
    <section aria-labelledby="over-time">
      <header class="title">
        <h2 id="over-time">Over time</h2>
        <div class="choices" role="radiogroup" aria-label="How far back">
          {RANGES.map(({ label }, place) => (
            <label key={label} class={chosen.value === place ? "is-chosen" : ""}>
              <input type="radio" name="range" checked={chosen.value === place} onChange={() => { chosen.value = place; }} />{label}
            </label>
          ))}
        </div>
      </header>
      {error && <p class="error" role="alert">{error}</p>}
      {history && history.at.length === 0 && <p class="faint">Nothing is known of this time: points are kept from the first use on.</p>}
      {history && history.at.length > 0 && <Drawn history={history} resource={resource} seconds={range.seconds} />}
    </section>
  );
}

type Column = (number | null)[];

function Drawn({ history, resource, seconds }: { history: History; resource: Watched; seconds: number }) {
  const to = history.at.at(-1) ?? 0;
  // What is not known yet takes no room.
  const from = Math.max(to - seconds, Math.min(history.at[0] ?? 0, to - Math.min(seconds, 60 * history.step_seconds)));
  const shared = { at: history.at, from, to };
  const column = (values: (number | null | undefined)[]): Column => values.map((value) => value ?? null);
  const estimated = history.estimated_metric;
  return (
    <div class="charts">
      {history.limits.map((limit) => {
        const live = resource.limits.find((one) => one.name === limit.name);
        const words = live ? limitWords(live) : plain(limit.name);
        const whole = limit.used.map((used, at) => used == null ? null : used + (limit.held[at] ?? 0) + (limit.left[at] ?? 0));
        const taken = limit.used.map((used, at) => used == null ? null : used + (limit.held[at] ?? 0));
        return (
          <Chart key={limit.name} title={capital(words)} unit={compact} {...shared}
            lines={[{ label: "used and held", colour: "held", fill: true }, { label: "used", colour: "accent", fill: true }, { label: "limit", colour: "waits", dash: true }]}
            values={[taken, column(limit.used), whole]} />
        );
      })}
      <Chart title="Waiting and in flight" unit={compact} {...shared}
        lines={[{ label: "waiting", colour: "waits", fill: true }, { label: "in flight", colour: "accent" }]}
        values={[column(history.waiting), column(history.in_flight)]} />
      <Chart title="How long they wait" unit={span} {...shared}
        lines={[{ label: "first in line", colour: "held" }, { label: "median of the granted", colour: "accent" }, { label: "95 %", colour: "waits" }]}
        values={[column(history.oldest_seconds), column(history.wait_p50_seconds), column(history.wait_p95_seconds)]} />
      <Chart title="Grants and refusals a second" unit={rate} {...shared}
        lines={[{ label: "granted", colour: "accent", fill: true }, { label: "refused", colour: "waits" }]}
        values={[column(history.grants_per_second), column(history.refusals_per_second)]} />
      {estimated && (
        <Chart title={`Estimates: ${plain(estimated)} a second reserved, and counted once calls settle`} unit={compact} {...shared}
          lines={[{ label: "reserved", colour: "waits", dash: true }, { label: "counted", colour: "accent", fill: true }]}
          values={[column(history.reserved_per_second), column(history.used_per_second)]} />
      )}
    </div>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/// Puts what came since behind what was, and drops what is too old.
function joined(before: History, after: History, since: number): History {
  const first = Math.max(0, before.at.findIndex((at) => at >= since));
  const same = before.limits.length === after.limits.length && before.limits.every((limit, at) => limit.name === after.limits[at]?.name);
  if (!same) return after;
  const put = <T,>(own: T[], more: T[]): T[] => [...own.slice(first), ...more];
  const columns = [
    "at", "waiting", "oldest_seconds", "in_flight", "grants_per_second", "refusals_per_second", "wait_p50_seconds",
    "wait_p95_seconds", "wait_max_seconds", "reserved_per_second", "used_per_second",
  ] as const;
  const whole = { ...after };
  for (const column of columns) whole[column] = put<number | null>(before[column], after[column]) as number[];
  whole.limits = after.limits.map((limit, at) => {
    const own = before.limits[at] ?? limit;
    return { ...limit, used: put(own.used, limit.used), held: put(own.held, limit.held), left: put(own.left, limit.left), amount: put(own.amount, limit.amount) };
  });
  return whole;
}
