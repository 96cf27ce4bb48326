// Requests to the server that served the page, with the key that was given.
import { signal } from "@preact/signals";
import type { Problem } from "./types";

const KEPT = "paceline-key";

/// The key, kept for as long as the tab is open.
export const key = signal<string | null>(sessionStorage.getItem(KEPT));
/// Why a key has to be given, if it has to.
export const keyWanted = signal<string | null>(null);

export function useKey(secret: string | null): void {
  if (secret) sessionStorage.setItem(KEPT, secret);
  else sessionStorage.removeItem(KEPT);
  key.value = secret;
  keyWanted.value = null;
}

/// An answer that is a problem, or none at all.
export class Failure extends Error {
  constructor(readonly status: number, message: string, readonly problem?: Problem) {
    super(message);
  }
}

export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if (key.value) headers.set("Authorization", `Bearer ${key.value}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Failure(0, "The server does not answer.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => undefined) as Problem | undefined;
  const failure = new Failure(response.status, problem?.detail ?? `The server answered ${response.status}.`, problem);
  if (response.status === 401) {
    keyWanted.value = key.value ? `The key was refused: ${failure.message}` : "This server needs a key.";
  }
  throw failure;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return await response.json() as T;
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T | undefined> {
  const options: RequestInit = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const response = await request(path, options);
  const text = await response.text();
  return text ? JSON.parse(text) as T : undefined;
}

export function resourcePath(name: string, action = ""): string {
  return `/v1/resources/${encodeURIComponent(name)}${action}`;
}
