// The keys to the server, for administrators.
import { useEffect, useState } from "preact/hooks";
import { get, send } from "../api";
import { Confirm, told, useAct } from "../parts/actions";
import { Dialog } from "../parts/dialog";
import { say } from "../parts/notice";
import type { CreatedKey, Key, Scope } from "../types";

const SCOPES: [Scope, string][] = [["read", "look"], ["acquire", "ask for permits"], ["admin", "everything"]];

export function Page() {
  const [keys, setKeys] = useState<Key[] | null>(null);
  const [error, setError] = useState("");
  const [isMaking, make] = useState(false);
  const [revoked, revoke] = useState<string | null>(null);
  const look = (): void => {
    get<Key[]>("/v1/keys").then((all) => { setKeys(all); setError(""); }, (problem: unknown) => setError(told(problem)));
  };
  useEffect(look, []);
  return (
    <>
      <header class="title"><h1>Keys</h1><div class="actions"><button type="button" class="primary" onClick={() => make(true)}>Make a key</button></div></header>
      {error && <p class="error" role="alert">{error}</p>}
      {keys?.length === 0 && <p class="faint">There are none: who reaches this server may do everything. From the first key on, every request needs one; make one with the scope admin first.</p>}
      {keys && keys.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label="All keys">
          <table>
            <thead><tr><th scope="col">Name</th><th scope="col">May</th><th scope="col">For</th><th scope="col">Made</th><th scope="col">Ends</th><th scope="col">Do</th></tr></thead>
            <tbody>
              {keys.map((one) => (
                <tr key={one.name} data-key={one.name}>
                  <th scope="row">{one.name}</th><td>{one.scopes.join(", ")}</td><td>{one.resources?.join(", ") || "all resources"}</td>
                  <td>{day(one.created_at)}</td><td>{one.expires_at ? day(one.expires_at) : "never"}</td>
                  <td><button type="button" class="danger" onClick={() => revoke(one.name)}>Revoke<span class="unseen"> {one.name}</span></button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isMaking && <Make close={() => { make(false); look(); }} />}
      {revoked && (
        <Confirm title={`Revoke ${revoked}?`} said="Requests with it are refused from then on." verb="Revoke" danger done={`${revoked} is revoked.`}
          close={() => { revoke(null); look(); }} act={() => send("DELETE", `/v1/keys/${encodeURIComponent(revoked)}`)} />
      )}
    </>
  );
}

function Make({ close }: { close(): void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["read"]);
  const [resources, setResources] = useState("");
  const [days, setDays] = useState("");
  const [made, setMade] = useState<CreatedKey | null>(null);
  const [error, run] = useAct(async () => {
    const body: Record<string, unknown> = { name: name.trim(), scopes, resources: resources.split(/[\s,]+/).filter(Boolean) };
    if (days.trim()) body["lasting_seconds"] = Math.round(Number(days) * 86_400);
    const created = await send<CreatedKey>("POST", "/v1/keys", body);
    setMade(created ?? null);
  }, "", () => {});
  if (made) {
    return (
      <Dialog title={`The key ${made.key.name}`} onClose={close}>
        <p><strong>It is shown this once.</strong> Copy it now; the server keeps no more than its digest.</p>
        <p class="secret"><code>{made.secret}</code></p>
        <div class="buttons">
          <button type="button" onClick={() => { navigator.clipboard?.writeText(made.secret).then(() => say("Copied."), () => say("The browser does not let this page copy; select it by hand.")); }}>Copy</button>
          <button type="button" class="primary" onClick={close}>I have it</button>
        </div>
      </Dialog>
    );
  }
  const toggle = (scope: Scope, on: boolean): void => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope));
  return (
    <Dialog title="Make a key" onClose={close}>
      <form onSubmit={(event) => { event.preventDefault(); run(); }}>
        <label>Name <input type="text" required maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <fieldset>
          <legend>It may</legend>
          {SCOPES.map(([scope, words]) => (
            <label key={scope} class="check"><input type="checkbox" checked={scopes.includes(scope)} onChange={(event) => toggle(scope, event.currentTarget.checked)} /> {scope} <span class="faint">({words})</span></label>
          ))}
        </fieldset>
        <label>Resources <span class="faint">(as in openai/*; empty: all)</span> <input type="text" value={resources} onInput={(event) => setResources(event.currentTarget.value)} /></label>
        <label>Days <span class="faint">(empty: for ever)</span> <input type="number" min="0" step="any" value={days} onInput={(event) => setDays(event.currentTarget.value)} /></label>
        {error && <p class="error" role="alert">{error}</p>}
        <div class="buttons"><button type="button" onClick={close}>Cancel</button><button type="submit" class="primary">Make</button></div>
      </form>
    </Dialog>
  );
}

function day(at: string): string {
  return new Date(at).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}
