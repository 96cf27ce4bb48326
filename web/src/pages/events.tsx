// What happens, as it happens, and what is kept of what did.
import { signal, useComputed } from "@preact/signals";
import { follow, type Message, type Standing } from "../sse";
import { clockTime, count } from "../words";

interface Happening { id: string; kind: string; at: string; about: string; said: string; sought: string }

const MOST = 5_000;
const SHOWN = 300;
const all = signal<Happening[]>([]);
const fresh: Happening[] = [];
const standing = signal<Standing>("connecting");
const text = signal("");
const kind = signal("");
const isHeld = signal(false);
let isFollowed = false;
let isScheduled = false;

/// Begins to follow when the page is first opened, with all that the server keeps, and goes on from then.
function begin(): void {
  if (isFollowed) return;
  isFollowed = true;
  follow({
    path: "/v1/events",
    // An id of no run: from the oldest that is kept.
    lastId: "0-0",
    onMessage(message) {
      fresh.push(read(message));
      if (!isScheduled) {
        isScheduled = true;
        window.setTimeout(take, 200);
      }
    },
    onStanding(next) { standing.value = next; },
  });
}

function take(): void {
  isScheduled = false;
  const more = fresh.splice(0).reverse();
  all.value = [...more, ...all.value].slice(0, MOST);
}

function read({ id, name, data }: Message): Happening {
  const fields = JSON.parse(data) as Record<string, unknown>;
  const about = String(fields["resource"] ?? fields["target"] ?? fields["ledger"] ?? fields["store"] ?? "");
  const rest = Object.entries(fields).filter(([field, value]) =>
    !["at", "resource", "target", "ledger", "store"].includes(field) && value !== null && value !== undefined);
  const said = rest.map(([field, value]) => `${field.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(", ");
  return { id, kind: name, at: String(fields["at"] ?? ""), about, said, sought: `${name} ${about} ${said}`.toLowerCase() };
}

export function Page() {
  begin();
  const kinds = useComputed(() => [...new Set(all.value.map((one) => one.kind))].sort());
  const found = useComputed(() => {
    const words = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    return all.value.filter((one) => (!kind.value || one.kind === kind.value) && words.every((word) => one.sought.includes(word)));
  });
  const shown = useHeld(found.value);
  return (
    <>
      <h1>Events</h1>
      <p class="faint">What callers and administrators do at this server, the latest first. It goes on where it was when the connection is lost.</p>
      <div class="tools" role="search">
        <label class="inline">Find <input type="search" placeholder="words, a resource, a permit" value={text.value} onInput={(event) => { text.value = event.currentTarget.value; }} /></label>
        <label class="inline">Kind{" "}
          <select value={kind.value} onChange={(event) => { kind.value = event.currentTarget.value; }}>
            <option value="">all</option>{kinds.value.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <button type="button" aria-pressed={isHeld.value} onClick={() => { isHeld.value = !isHeld.value; }}>{isHeld.value ? "Go on" : "Hold still"}</button>
        <span class="faint" role="status">{count(found.value.length)} found{standing.value === "live" ? "" : ", not live"}</span>
      </div>
      {shown.length === 0
        ? <p class="faint">{all.value.length === 0 ? "Nothing has happened yet." : "No event is like that."}</p>
        : (
          <div class="scrolls tall" tabIndex={0} role="region" aria-label="Events">
            <table class="events">
              <thead><tr><th scope="col">At</th><th scope="col">Kind</th><th scope="col">About</th><th scope="col">What</th></tr></thead>
              <tbody>
                {shown.slice(0, SHOWN).map((one) => (
                  <tr key={one.id}>
                    <td class="nowrap">{clockTime(one.at)}</td><td><span class={`tag tag-${one.kind}`}>{one.kind}</span></td>
                    <td>{one.about}</td><td class="code">{one.said}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      {shown.length > SHOWN && <p class="faint small">The latest {SHOWN} of {count(shown.length)}.</p>}
    </>
  );
}

let still: Happening[] | null = null;

function useHeld(found: Happening[]): Happening[] {
  if (!isHeld.value) still = null;
  else still ??= found;
  return still ?? found;
}
