// Which page is shown: told by the part of the address behind #, so that the server serves one page.
import { computed, signal } from "@preact/signals";

export type Route =
  | { page: "overview" } | { page: "resource"; name: string } | { page: "events" } | { page: "limits" } | { page: "keys" };

const hash = signal(location.hash);
window.addEventListener("hashchange", () => { hash.value = location.hash; });

export const route = computed<Route>(() => {
  const [page, ...rest] = hash.value.replace(/^#\/?/, "").split("/");
  switch (page) {
    case "resource": return { page, name: decode(rest.join("/")) };
    case "events": case "limits": case "keys": return { page };
    default: return { page: "overview" };
  }
});

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function resourceLink(name: string): string {
  return `#/resource/${encodeURIComponent(name)}`;
}
