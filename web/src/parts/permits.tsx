// Permits that are out, oldest first.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import type { Permit } from "../types";
import { count, plain, span } from "../words";
import { told } from "./actions";

const SHOWN = 50;
const EVERY_MS = 2_000;

export function Permits({ name }: { name: string }) {
  const [permits, setPermits] = useState<Permit[] | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = (): void => {
      get<Permit[]>("/v1/permits", abort.signal).then((all) => {
        const own = all.filter((permit) => permit.resource === name);
        setPermits(own.sort((a, b) => b.age_seconds - a.age_seconds));
        setError("");
      }, (problem: unknown) => { if (!abort.signal.aborted) setError(told(problem)); })
        .finally(() => { if (!abort.signal.aborted) timer = window.setTimeout(look, EVERY_MS); });
    };
    look();
    return () => { abort.abort(); window.clearTimeout(timer); };
  }, [name]);
  return (
    <section aria-labelledby="permits">
      <h2 id="permits">In flight{permits && <span class="faint"> {count(permits.length)}</span>}</h2>
      {error && <p class="error" role="alert">{error}</p>}
      {permits && permits.length === 0 && <p class="faint">No call is in flight.</p>}
      {permits && permits.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label="Permits that are out">
          <table>
            <thead><tr><th scope="col">Out for</th><th scope="col">Lane</th><th scope="col">Reserves</th><th scope="col">Permit</th></tr></thead>
            <tbody>
              {permits.slice(0, SHOWN).map((permit) => (
                <tr key={permit.permit}>
                  <td>{span(permit.age_seconds)}</td>
                  <td>{permit.lane ?? <span class="faint">none</span>}</td>
                  <td>{Object.entries(permit.reserved).map(([metric, amount]) => `${count(amount)} ${plain(metric)}`).join(", ")}</td>
                  <td class="code" title={permit.permit}>…{permit.permit.slice(-12)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {permits.length > SHOWN && <p class="faint small">The {SHOWN} that are out longest of {count(permits.length)}.</p>}
        </div>
      )}
    </section>
  );
}
