// Asks for the key.
import { useEffect, useRef, useState } from "preact/hooks";
import { useKey } from "../api";

export function Login({ why }: { why: string }) {
  const [secret, setSecret] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <section class="login" aria-labelledby="login">
      <h1 id="login">Sign in</h1>
      <p role="alert">{why}</p>
      <form onSubmit={(event) => { event.preventDefault(); if (secret.trim()) useKey(secret.trim()); }}>
        <label>Key
          <input ref={field} type="password" autocomplete="off" spellcheck={false} placeholder="pk_…" value={secret} onInput={(event) => setSecret(event.currentTarget.value)} />
        </label>
        <p class="faint small">Make one by <code>paceline serve keys create NAME --scope read</code> (<code>--scope admin</code> to
          change limits). It is kept in this tab until it is closed, and sent to this server alone.</p>
        <div class="buttons"><button type="submit" class="primary">Sign in</button></div>
      </form>
    </section>
  );
}
