// What the server shows at present: a signal a resource, changed at most once a frame.
import { batch, computed, signal, type Signal } from "@preact/signals";
import type { Failure } from "./api";
import { follow, type Message, type Standing } from "./sse";
import type { WatchEvent, Watched } from "./types";

export const resources = signal<ReadonlyMap<string, Signal<Watched>>>(new Map());
export const standing = signal<Standing>("connecting");
export const refusal = signal<Failure | undefined>(undefined);
export const trouble = signal<string | null>(null);
/// Since when what is shown may be old, in milliseconds since the epoch.
export const staleSince = signal<number | null>(null);
export const hasLoaded = signal(false);
/// Ticks once a second.
export const now = signal(Date.now());
/// Counts applied events: what shows sums over all resources follows it.
export const tick = signal(0);

export const names = computed(() => [...resources.value.keys()]);

/// The points of a minute and more, one a second, of what the cards draw.
export interface Trail { at: number[]; grants: number[]; waiting: number[] }
export const trails = new Map<string, Trail>();
const TRAIL = 300;

let pending: WatchEvent[] = [];
let isScheduled = false;
let last = 0;

function apply(): void {
  isScheduled = false;
  const events = pending;
  pending = [];
  batch(() => {
    for (const event of events) take(event);
    hasLoaded.value = true;
    tick.value += 1;
    const problem = events.at(-1)?.trouble ?? null;
    trouble.value = problem;
    if (problem === null) {
      staleSince.value = null;
      last = Date.now();
    } else {
      staleSince.value ??= last || Date.now();
    }
  });
}

interface Told extends WatchEvent { isWhole?: boolean }

function take(event: Told): void {
  const known = resources.value;
  if (!event.isWhole) {
    for (const resource of event.resources) {
      const of = known.get(resource.name);
      if (of) of.value = resource;
    }
    return;
  }
  const next = new Map<string, Signal<Watched>>();
  for (const resource of event.resources) {
    const of = known.get(resource.name);
    if (of) of.value = resource;
    next.set(resource.name, of ?? signal(resource));
  }
  const same = next.size === known.size && [...next.keys()].every((name) => known.has(name));
  if (!same) resources.value = next;
}

function onMessage(message: Message): void {
  if (message.name !== "snapshot" && message.name !== "changes") return;
  const event = JSON.parse(message.data) as Told;
  event.isWhole = message.name === "snapshot";
  pending.push(event);
  if (!isScheduled) {
    isScheduled = true;
    // A page that nobody sees has no frames, and still has to keep up.
    if (document.hidden) window.setTimeout(apply, 250);
    else window.requestAnimationFrame(apply);
  }
}

/// Begins to watch; once for the life of the page.
export function watch(): void {
  const asked = Number(new URLSearchParams(location.search).get("rate"));
  const rate = asked >= 0.1 && asked <= 20 ? asked : 4;
  follow({
    path: `/v1/watch?rate=${rate}`,
    onMessage,
    onStanding(next, why) {
      batch(() => {
        standing.value = next;
        refusal.value = next === "refused" ? why : undefined;
        if (next === "lost" || next === "refused") staleSince.value ??= last || Date.now();
      });
    },
  });
  window.setInterval(() => {
    now.value = Date.now();
    if (standing.value === "live" && staleSince.value === null) leaveTrails();
  }, 1_000);
}

function leaveTrails(): void {
  for (const [name, resource] of resources.value) {
    const trail = trails.get(name) ?? { at: [], grants: [], waiting: [] };
    trail.at.push(Math.round(Date.now() / 1_000));
    trail.grants.push(resource.peek().grants_per_second);
    trail.waiting.push(resource.peek().waiting);
    for (const values of [trail.at, trail.grants, trail.waiting]) {
      if (values.length > TRAIL) values.splice(0, values.length - TRAIL);
    }
    trails.set(name, trail);
  }
  trailed.value += 1;
}

/// Counts the points of trails.
export const trailed = signal(0);
