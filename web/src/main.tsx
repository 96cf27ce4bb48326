// The frame of all pages: where one is, whether what is shown is live, and who one is.
import { render, type ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { key, keyWanted, useKey } from "./api";
import { now, refusal, staleSince, standing, trouble, watch } from "./live";
import { Notice } from "./parts/notice";
import { Overview } from "./pages/overview";
import { Login } from "./pages/login";
import { route, type Route } from "./route";
import { isDark, toggleTheme } from "./theme";
import { span } from "./words";

const PAGES: [string, Route["page"], string][] = [
  ["#/", "overview", "Overview"], ["#/events", "events", "Events"], ["#/limits", "limits", "Limits"], ["#/keys", "keys", "Keys"],
];

type Late = "resource" | "events" | "limits" | "keys";
const LATE: Record<Late, () => Promise<{ Page: ComponentType<{ name: string }> }>> = {
  resource: () => import("./pages/resource"),
  events: () => import("./pages/events"),
  limits: () => import("./pages/limits"),
  keys: () => import("./pages/keys"),
};
const loaded = signal<Partial<Record<Late, ComponentType<{ name: string }>>>>({});

function Page() {
  const at = route.value;
  if (at.page === "overview") return <Overview />;
  const page = at.page;
  const Known = loaded.value[page];
  if (Known) return <Known name={at.page === "resource" ? at.name : ""} key={at.page === "resource" ? at.name : page} />;
  LATE[page]().then(({ Page: Found }) => { loaded.value = { ...loaded.peek(), [page]: Found }; }, () => location.reload());
  return <p class="faint">Looking…</p>;
}

function Standing() {
  const since = staleSince.value;
  if (standing.value === "live" && since === null) return <span class="standing is-live"><i aria-hidden="true" /> Live</span>;
  if (standing.value === "connecting" && since === null) return <span class="standing">Connecting…</span>;
  return <span class="standing is-stale"><i aria-hidden="true" /> Not live</span>;
}

function Stale() {
  const since = staleSince.value;
  if (since === null || keyWanted.value) return null;
  const age = span(Math.max(0, Math.round((now.value - since) / 1_000)));
  const why = trouble.value ?? refusal.value?.message ?? "The server does not answer; this page connects again by itself.";
  return (
    <p class="stale">
      <strong>What is shown is {age} old.</strong> {why}
    </p>
  );
}

function App() {
  const main = useRef<HTMLElement>(null);
  const at = route.value;
  const title = at.page === "resource" ? at.name : PAGES.find(([, page]) => page === at.page)?.[2] ?? "";
  const first = useRef(true);
  useEffect(() => {
    document.title = `${title} · Paceline`;
    // Whoever went to another page by the keyboard begins at its top.
    if (!first.current) main.current?.focus();
    first.current = false;
    window.scrollTo(0, 0);
  }, [title]);
  const isStale = staleSince.value !== null;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/"><span aria-hidden="true">≡</span> Paceline</a>
        <nav aria-label="Pages">
          {PAGES.map(([href, page, label]) => (
            <a key={page} href={href} aria-current={at.page === page ? "page" : undefined}>{label}</a>
          ))}
        </nav>
        <div class="side">
          <div role="status"><Standing /></div>
          <button type="button" class="plain" aria-pressed={isDark.value} onClick={toggleTheme}>
            <span aria-hidden="true">{isDark.value ? "☾" : "☀"}</span><span class="unseen">Dark colours</span>
          </button>
          {key.value && <button type="button" onClick={() => { useKey(null); location.reload(); }}>Sign out</button>}
        </div>
      </header>
      <main ref={main} id="main" tabIndex={-1} class={isStale ? "is-stale" : ""}>
        <Stale />
        {keyWanted.value ? <Login why={keyWanted.value} /> : <Page />}
      </main>
      <Notice />
    </>
  );
}

watch();
effect(() => { if (keyWanted.value) document.title = "Sign in · Paceline"; });
const root = document.getElementById("app");
if (root) render(<App />, root);
