// Numbers and states in words.
import type { HeldUp, Limit, Watched } from "./types";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export function count(value: number): string {
  return whole.format(value);
}

export function compact(value: number): string {
  return Math.abs(value) < 10_000 ? count(value) : short.format(value);
}

export function rate(value: number): string {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : count(value);
}

/// A duration as people say it: "9 s", "2 min 5 s", "3 h".
export function span(seconds: number): string {
  if (seconds < 0.0005) return "0 s";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1_000))} ms`;
  if (seconds < 10 && seconds % 1 >= 0.05) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  const [days, hours, minutes, rest] =
    [Math.floor(all / 86_400), Math.floor(all / 3_600) % 24, Math.floor(all / 60) % 60, all % 60];
  const parts = days > 0 ? [[days, "d"], [hours, "h"]] : hours > 0 ? [[hours, "h"], [minutes, "min"]] : [[minutes, "min"], [rest, "s"]];
  return parts.filter(([value]) => Number(value) > 0).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

const WINDOWS: Record<number, string> = { 1: "second", 60: "minute", 3_600: "hour", 86_400: "day", 604_800: "week" };

/// What a limit is: "tokens per minute", "calls in flight".
export function limitWords(limit: Pick<Limit, "metric" | "window_seconds">): string {
  if (!limit.window_seconds) return limit.metric === "concurrent_requests" ? "calls in flight" : `${plain(limit.metric)} at once`;
  return `${plain(limit.metric)} per ${WINDOWS[limit.window_seconds] ?? span(limit.window_seconds)}`;
}

export function plain(name: string): string {
  return name.replaceAll("_", " ");
}

/// When all of a limit is there again.
export function fullWords(limit: Limit): string {
  if (limit.paused) return limit.paused_for_seconds == null ? "paused until resumed" : `paused for ${span(limit.paused_for_seconds)}`;
  if (limit.full_in_seconds == null) return "as calls end";
  return limit.full_in_seconds < 0.05 ? "full" : `in ${span(limit.full_in_seconds)}`;
}

export function oldest(resource: Watched): number {
  return resource.lanes.reduce((most, lane) => Math.max(most, lane.oldest_seconds ?? 0), 0);
}

/// What holds up the line of a resource: the lane that comes first.
export function binding(resource: Watched): { held: HeldUp; limit: Limit | undefined } | undefined {
  const held = resource.held_up.find((one) => one.limit) ?? resource.held_up[0];
  return held && { held, limit: resource.limits.find((limit) => limit.name === held.limit) };
}

/// The limit of which the smallest part is left.
export function tightest(resource: Watched): Limit | undefined {
  const part = (limit: Limit): number => limit.left / Math.max(1, limit.most);
  return resource.limits.filter((limit) => !limit.shadow).reduce<Limit | undefined>(
    (least, limit) => least === undefined || part(limit) < part(least) ? limit : least, undefined);
}

export type Mood = "waits" | "paused" | "busy" | "idle";

export function mood(resource: Watched): Mood {
  if (resource.paused || resource.limits.some((limit) => limit.paused)) return "paused";
  if (resource.waiting > 0) return "waits";
  return resource.in_flight > 0 || resource.grants_per_second > 0 ? "busy" : "idle";
}

function whoWaits(resource: Watched): string {
  if (resource.waiting === 0) return "nobody waits";
  const first = oldest(resource);
  const wait = resource.waiting === 1 ? "1 waits" : `${count(resource.waiting)} wait`;
  const since = resource.waiting === 1 ? "for" : "the oldest for";
  return `${wait}, ${since} ${span(first)}`;
}

/// In one sentence: which limit binds, when that ends, and who waits. The name stands before it.
export function sentence(resource: Watched): string {
  if (resource.paused) {
    const end = resource.paused_for_seconds == null ? "until it is resumed" : `for ${span(resource.paused_for_seconds)} more`;
    const why = resource.pause_reason ? ` (${resource.pause_reason})` : "";
    return `is paused ${end}${why}; ${whoWaits(resource)}.`;
  }
  const stopped = resource.limits.find((limit) => limit.paused);
  if (stopped) {
    const end = stopped.paused_for_seconds == null ? "until it is resumed" : `for ${span(stopped.paused_for_seconds)} more`;
    return `is held up: its ${limitWords(stopped)} are paused ${end}; ${whoWaits(resource)}.`;
  }
  if (resource.waiting > 0) return `${waitsFor(resource)}; ${whoWaits(resource)}.`;
  const near = tightest(resource);
  if (near && near.left <= 0) return `has no ${limitWords(near)} left${again(near)}; nobody waits.`;
  if (mood(resource) === "idle") return "is idle; nobody waits.";
  return `keeps up: ${resource.in_flight === 1 ? "1 call" : `${count(resource.in_flight)} calls`} in flight, nobody waits.`;
}

function waitsFor(resource: Watched): string {
  const limit = binding(resource)?.limit;
  if (!limit) return "serves its line";
  return `waits for ${limitWords(limit)}${again(limit)}`;
}

function again(limit: Limit): string {
  if (limit.full_in_seconds == null) {
    return limit.window_seconds ? ", which calls that end give back" : `: all ${count(limit.most)} are out`;
  }
  return limit.full_in_seconds < 0.05 ? "" : `: full again in ${span(limit.full_in_seconds)}`;
}

/// When a call of the usual size has room.
export function readyWords(held: HeldUp): string {
  if (!held.limit) return "at once";
  return held.ready_in_seconds == null ? "when a call ends" : `in about ${span(held.ready_in_seconds)}`;
}

export function clockTime(at: string | number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour12: false });
}
