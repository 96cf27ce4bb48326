// Why am I waiting: each lane of the line, what binds its first ticket, and what would become of a call.
import { useState } from "preact/hooks";
import { get } from "../api";
import type { Explained, Watched } from "../types";
import { count, limitWords, readyWords, span } from "../words";
import { told } from "./actions";

export function Why({ resource }: { resource: Watched }) {
  const lanes = [...resource.lanes].sort((a, b) => b.waiting - a.waiting);
  return (
    <section aria-labelledby="why">
      <h2 id="why">Why am I waiting?</h2>
      {lanes.length === 0 && <p class="faint">The line is empty: whoever asks is served at once, as far as the limits have room.</p>}
      {lanes.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label="The line, a row each lane">
          <table>
            <caption class="unseen">The line of {resource.name}, a row each lane</caption>
            <thead>
              <tr>
                <th scope="col">Lane</th><th scope="col" class="number">Waiting</th><th scope="col" class="number">First waits for</th>
                <th scope="col">Held up by</th><th scope="col">Goes</th><th scope="col" class="number">Granted</th>
              </tr>
            </thead>
            <tbody>
              {lanes.map((lane) => {
                const held = resource.held_up.find((one) => (one.lane ?? null) === (lane.name ?? null));
                const limit = resource.limits.find((one) => one.name === held?.limit);
                return (
                  <tr key={lane.name ?? ""}>
                    <th scope="row">{lane.name ?? <span class="faint">no lane</span>}</th>
                    <td class="number">{count(lane.waiting)}</td>
                    <td class="number">{lane.waiting > 0 && lane.oldest_seconds != null ? span(lane.oldest_seconds) : "–"}</td>
                    <td>{lane.waiting === 0 ? "–" : resource.paused ? "the pause" : limit ? limitWords(limit) : "those before it"}
                      {limit && held?.set_aside != null && <span class="faint"> (the first want {count(held.set_aside)}, {count(held.left ?? 0)} left)</span>}</td>
                    <td>{lane.waiting === 0 || !held ? "–" : readyWords(held)}</td>
                    <td class="number">{count(lane.granted)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {resource.owner !== "others" && <Question name={resource.name} resource={resource} />}
    </section>
  );
}

function Question({ name, resource }: { name: string; resource: Watched }) {
  const [tokens, setTokens] = useState("");
  const [lane, setLane] = useState("");
  const [answer, setAnswer] = useState<Explained | null>(null);
  const [error, setError] = useState("");
  const ask = (): void => {
    const query = new URLSearchParams({ resource: name });
    if (tokens) query.set("tokens", tokens);
    if (lane) query.set("lane", lane);
    get<Explained>(`/v1/explain?${query}`).then(
      (explained) => { setAnswer(explained); setError(""); },
      (problem: unknown) => { setAnswer(null); setError(told(problem)); },
    );
  };
  return (
    <form class="question" onSubmit={(event) => { event.preventDefault(); ask(); }}>
      <label class="inline">Would a call of <input type="number" min="0" placeholder="0" value={tokens} onInput={(event) => setTokens(event.currentTarget.value)} aria-label="Tokens" /> tokens</label>
      <label class="inline">in lane <input type="text" placeholder="none" value={lane} onInput={(event) => setLane(event.currentTarget.value)} aria-label="Lane" list="lanes" /> go?</label>
      <datalist id="lanes">{resource.lanes.map((one) => one.name && <option key={one.name} value={one.name} />)}</datalist>
      <button type="submit">Ask</button>
      <div role="status">
        {error && <p class="error">{error}</p>}
        {answer && <p>{explained(answer, resource)}</p>}
      </div>
    </form>
  );
}

function explained(answer: Explained, resource: Watched): string {
  if (answer.goes) return "Yes, at once.";
  if (answer.paused) return "No: the resource is paused.";
  const first = answer.limits[0];
  const limit = resource.limits.find((one) => one.name === first?.limit);
  const ahead = answer.ahead > 0 ? ` ${count(answer.ahead)} are before it.` : "";
  const wait = answer.expected_wait_seconds != null ? ` It would wait about ${span(answer.expected_wait_seconds)}.` : "";
  if (!first) return `Not yet.${ahead}${wait}`;
  const aside = first.set_aside > 0 ? `, ${count(first.set_aside)} of it for those before` : "";
  return `Not yet: it wants ${count(first.wanted)} of ${limit ? limitWords(limit) : first.limit}, and ${count(first.left)} are left${aside}.${ahead}${wait}`;
}
