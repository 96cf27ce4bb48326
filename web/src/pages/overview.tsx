// All resources at a glance: which limit binds, and who waits.
import { memo } from "preact/compat";
import { useEffect, useRef } from "preact/hooks";
import { signal, useComputed, useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { get } from "../api";
import { hasLoaded, names, resources, standing, tick, trails, trailed } from "../live";
import { Limits } from "../parts/limits";
import { Spark } from "../parts/spark";
import { resourceLink } from "../route";
import type { History, Watched } from "../types";
import { binding, clockTime, count, mood, oldest, rate, sentence, span, tightest } from "../words";

const sought = signal("");
const order = signal<"line" | "name" | "left">("line");

export function Overview() {
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <Headline />
      {hasLoaded.value && names.value.length === 0 ? <Nothing /> : <Cards />}
    </>
  );
}

function Headline() {
  // Said a few times a second at most, whatever the rate of updates.
  const lines = useComputed(() => {
    void tick.value;
    const all = [...resources.value.values()].map((of) => of.peek());
    const held = all.filter((one) => one.waiting > 0 || mood(one) === "paused");
    held.sort((a, b) => b.waiting - a.waiting || a.name.localeCompare(b.name));
    if (held.length === 0) {
      const flying = all.reduce((sum, one) => sum + one.in_flight, 0);
      const grants = all.reduce((sum, one) => sum + one.grants_per_second, 0);
      return [`|Nobody waits. ${count(flying)} ${flying === 1 ? "call" : "calls"} in flight, ${rate(grants)} grants a second.`];
    }
    const shown = held.slice(0, 3).map((one) => `${one.name}|${sentence(one)}`);
    if (held.length > 3) shown.push(`|${held.length - 3} more are held up.`);
    return shown;
  });
  if (!hasLoaded.value) return <p class="headline" role="status">{standing.value === "refused" ? "" : "Looking…"}</p>;
  if (names.value.length === 0) return null;
  const calm = lines.value[0]?.startsWith("|Nobody") ?? false;
  return (
    <section class={calm ? "headline is-calm" : "headline"} aria-label="At a glance">
      {lines.value.map((line) => {
        const [name, said] = [line.slice(0, line.indexOf("|")), line.slice(line.indexOf("|") + 1)];
        return <p key={name}>{name && <a href={resourceLink(name)}>{name}</a>} {said}</p>;
      })}
      <Announcer calm={calm} first={lines.value[0] ?? ""} />
    </section>
  );
}

/// Tells those who listen when the state turns, and not with each number.
function Announcer({ calm, first }: { calm: boolean; first: string }) {
  const name = first.slice(0, first.indexOf("|"));
  const kind = /^is paused|^is held up|^waits for [^:;,]+/.exec(first.slice(first.indexOf("|") + 1))?.[0] ?? "";
  return <div class="unseen" role="status">{calm ? "Nobody waits." : `${name} ${kind}`}</div>;
}

function Nothing() {
  return (
    <section class="empty">
      <h2>There are no limits yet</h2>
      <p>Name a file by <code>paceline serve --config limits.yaml</code>, or <a href="#/limits">add a resource</a> here.</p>
    </section>
  );
}

function Cards() {
  const shown = useComputed(() => {
    const text = sought.value.trim().toLowerCase();
    const all = names.value.filter((name) => name.toLowerCase().includes(text));
    if (order.value === "name") return all.sort((a, b) => a.localeCompare(b));
    // The order is looked at anew when points are left, once a second: cards that jump cannot be read.
    void trailed.value;
    const of = (name: string): Watched | undefined => resources.value.get(name)?.peek();
    const rank = (name: string): number => {
      const one = of(name);
      if (!one) return 0;
      if (order.value === "left") return tightest(one) ? -(tightest(one)?.left ?? 0) / Math.max(1, tightest(one)?.most ?? 1) : -1;
      return one.waiting > 0 ? 2 : mood(one) === "paused" ? 1 : 0;
    };
    const ranks = new Map(all.map((name) => [name, rank(name)]));
    return all.sort((a, b) => (ranks.get(b) ?? 0) - (ranks.get(a) ?? 0) || a.localeCompare(b));
  });
  return (
    <>
      <div class="tools" role="search">
        <label class="inline">Find <input type="search" placeholder="a resource" value={sought.value} onInput={(event) => { sought.value = event.currentTarget.value; }} /></label>
        <label class="inline">Sort by{" "}
          <select value={order.value} onChange={(event) => { order.value = event.currentTarget.value as typeof order.value; }}>
            <option value="line">who waits</option><option value="left">what is left</option><option value="name">name</option>
          </select>
        </label>
        <span class="legend" aria-hidden="true"><i class="key-used" /> used <i class="key-held" /> held for calls that run <i class="key-left" /> left</span>
      </div>
      {shown.value.length === 0 && sought.value && <p class="faint">No resource has “{sought.value}” in its name.</p>}
      <div class="cards">
        {shown.value.map((name) => {
          const of = resources.value.get(name);
          return of && <Card key={name} of={of} />;
        })}
      </div>
    </>
  );
}

const Card = memo(function Card({ of }: { of: Signal<Watched> }) {
  const element = useRef<HTMLElement>(null);
  const isSeen = useSignal(true);
  const shown = useSignal(of.peek());
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => { isSeen.value = entries.at(-1)?.isIntersecting ?? true; }, { rootMargin: "200px" });
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  // What is out of sight follows once a second.
  useSignalEffect(() => {
    if (isSeen.value) shown.value = of.value;
    else void trailed.value, shown.value = of.peek();
  });
  useEffect(() => recall(of.peek().name), []);
  const resource = shown.value;
  const kind = mood(resource);
  const binds = binding(resource)?.limit?.name;
  return (
    <article ref={element} class={`card is-${kind}`} aria-labelledby={`card-${resource.name}`} data-resource={resource.name}>
      <header>
        <h2 id={`card-${resource.name}`}><a href={resourceLink(resource.name)}>{resource.name}</a></h2>
        <span class={`tag tag-${kind}`}>{kind}</span>
      </header>
      <p class="sentence">{capital(sentence(resource))}</p>
      <Limits limits={resource.limits} binds={binds} name={resource.name} />
      <div class="foot">
        <dl>
          <div><dt>Waiting</dt><dd data-field="waiting">{count(resource.waiting)}</dd></div>
          <div><dt>Oldest</dt><dd data-field="oldest">{resource.waiting > 0 ? span(oldest(resource)) : "–"}</dd></div>
          <div><dt>In flight</dt><dd data-field="in-flight">{count(resource.in_flight)}</dd></div>
          <div><dt>Grants/s</dt><dd data-field="grants">{rate(resource.grants_per_second)}</dd></div>
        </dl>
        <Spark name={resource.name} />
      </div>
      {resource.refused && (
        <p class="refused small">{resource.refusals_per_second > 0 ? `${rate(resource.refusals_per_second)} refused a second; last` : "Refused"} at {clockTime(resource.refused.at)}: {resource.refused.reason}</p>
      )}
    </article>
  );
});

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/// Fills the trail of a card with what was before the page was opened, one after the other.
let recalls: Promise<void> = Promise.resolve();
const recalled = new Set<string>();

function recall(name: string): void {
  if (recalled.has(name)) return;
  recalled.add(name);
  recalls = recalls.then(() => fill(name));
}

async function fill(name: string): Promise<void> {
  try {
    const since = new Date(Date.now() - 180_000).toISOString();
    const history = await get<History>(`/v1/history?resource=${encodeURIComponent(name)}&since=${since}&step=1`);
    const trail = trails.get(name) ?? { at: [], grants: [], waiting: [] };
    const first = trail.at[0] ?? Infinity;
    const before = history.at.map((at, place) => ({ at, place })).filter(({ at }) => at < first);
    trail.at.unshift(...before.map(({ at }) => at));
    trail.grants.unshift(...smooth(before.map(({ place }) => history.grants_per_second[place] ?? 0)));
    trail.waiting.unshift(...before.map(({ place }) => history.waiting[place] ?? 0));
    trails.set(name, trail);
  } catch {
    // A card without a past is no harm.
  }
}

/// What is live is told over ten seconds; so is what was.
function smooth(values: number[]): number[] {
  return values.map((_, at) => {
    const stretch = values.slice(Math.max(0, at - 9), at + 1);
    return stretch.reduce((sum, value) => sum + value, 0) / stretch.length;
  });
}
