// What administrators do to a resource: each asked for once more before it is done.
import { useState } from "preact/hooks";
import { Failure, resourcePath, send } from "../api";
import { limitWords } from "../words";
import type { Watched } from "../types";
import { Dialog } from "./dialog";
import { say } from "./notice";

type Asked = "pause" | "resume" | "delete" | "edit";

export function Actions({ resource }: { resource: Watched }) {
  const [asked, ask] = useState<Asked | null>(null);
  const close = (): void => ask(null);
  const isOwn = resource.owner === "api";
  const ofFile = "Its limits stand in the server's configuration file";
  return (
    <div class="actions">
      {resource.owner === "others" ? null : resource.paused
        ? <button type="button" onClick={() => ask("resume")}>Resume<span class="unseen"> {resource.name}</span></button>
        : <button type="button" onClick={() => ask("pause")}>Pause<span class="unseen"> {resource.name}</span></button>}
      {isOwn && <button type="button" onClick={() => ask("edit")}>Change<span class="unseen"> {resource.name}</span></button>}
      {isOwn && <button type="button" class="danger" onClick={() => ask("delete")}>Remove<span class="unseen"> {resource.name}</span></button>}
      {!isOwn && <span class="faint small">{resource.owner === "file" ? ofFile : "A process that shares the store configured it"}.</span>}
      {asked === "pause" && <Pause name={resource.name} close={close} />}
      {asked === "resume" && (
        <Confirm title={`Resume ${resource.name}?`} said="Callers go on at once. Token buckets that it alone draws on begin empty."
          verb="Resume" close={close} act={() => send("POST", resourcePath(resource.name, "/resume"))} done={`${resource.name} goes on.`} />
      )}
      {asked === "delete" && (
        <Confirm title={`Remove ${resource.name}?`} said="Those who wait for it are refused. Permits that are out can be settled still."
          verb="Remove" danger close={close} act={() => send("DELETE", resourcePath(resource.name))} done={`${resource.name} is removed.`} />
      )}
      {asked === "edit" && <EditLimits name={resource.name} said={resource.configuration ?? {}} close={close} />}
    </div>
  );
}

interface ConfirmProps {
  title: string; said: string; verb: string; danger?: boolean; done: string; close(): void; act(): Promise<unknown>;
}

export function Confirm({ title, said, verb, danger, done, close, act }: ConfirmProps) {
  const [error, run] = useAct(act, done, close);
  return (
    <Dialog title={title} onClose={close}>
      <p>{said}</p>
      {error && <p class="error" role="alert">{error}</p>}
      <div class="buttons">
        <button type="button" onClick={close}>Cancel</button>
        <button type="button" class={danger ? "danger primary" : "primary"} onClick={run}>{verb}</button>
      </div>
    </Dialog>
  );
}

function Pause({ name, close }: { name: string; close(): void }) {
  const [seconds, setSeconds] = useState("60");
  const [reason, setReason] = useState("");
  const [refuse, setRefuse] = useState(false);
  const [error, run] = useAct(() => {
    const body: Record<string, unknown> = { refuse };
    if (seconds.trim()) body["seconds"] = Number(seconds);
    if (reason.trim()) body["reason"] = reason.trim();
    return send("POST", resourcePath(name, "/pause"), body);
  }, `${name} is paused.`, close);
  return (
    <Dialog title={`Pause ${name}?`} onClose={close}>
      <form onSubmit={(event) => { event.preventDefault(); run(); }}>
        <p>Nothing is granted until it ends. Permits that are out can be settled.</p>
        <label>Seconds <span class="faint">(empty: until somebody resumes it)</span>
          <input type="number" min="0" step="any" value={seconds} onInput={(event) => setSeconds(event.currentTarget.value)} />
        </label>
        <label>Reason <span class="faint">(for the audit log and those who look on)</span>
          <input type="text" maxLength={200} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <label class="check"><input type="checkbox" checked={refuse} onChange={(event) => setRefuse(event.currentTarget.checked)} />
          Refuse callers rather than let them wait</label>
        {error && <p class="error" role="alert">{error}</p>}
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="primary">Pause</button>
        </div>
      </form>
    </Dialog>
  );
}

const EXAMPLE = { requests_per_minute: 500, tokens_per_minute: 30_000, concurrent_requests: 20 };

interface EditProps { name?: string; said?: unknown; close(): void }

/// Changes the limits of a resource, or makes one.
export function EditLimits({ name, said, close }: EditProps) {
  const [own, setOwn] = useState(name ?? "");
  const [text, setText] = useState(JSON.stringify(said ?? EXAMPLE, null, 2));
  const [merge, setMerge] = useState(false);
  const [error, run] = useAct(async () => {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (problem) {
      throw new Failure(0, `The limits are not JSON: ${problem instanceof Error ? problem.message : ""}`);
    }
    await send(merge ? "PATCH" : "PUT", resourcePath(own.trim()), body);
  }, `${own} has these limits.`, close);
  return (
    <Dialog title={name ? `Limits of ${name}` : "Add a resource"} onClose={close}>
      <form onSubmit={(event) => { event.preventDefault(); run(); }}>
        {!name && (
          <label>Name <span class="faint">(PROVIDER/MODEL, or any other)</span>
            <input type="text" required maxLength={300} placeholder="openai/gpt-4o" value={own} onInput={(event) => setOwn(event.currentTarget.value)} />
          </label>
        )}
        <label>Limits <span class="faint">(JSON, as in a configuration file)</span>
          <textarea rows={10} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {name && (
          <label class="check"><input type="checkbox" checked={merge} onChange={(event) => setMerge(event.currentTarget.checked)} />
            Change only what is named, and remove what is null (a merge patch)</label>
        )}
        <p class="faint small">What waits keeps its place, what is out keeps what it reserved.</p>
        {error && <p class="error" role="alert">{error}</p>}
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="primary">{name ? "Put into force" : "Add"}</button>
        </div>
      </form>
    </Dialog>
  );
}

/// Does something once, and says what came of it.
export function useAct(act: () => Promise<unknown>, done: string, close: () => void): [string, () => void] {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const run = (): void => {
    if (isBusy) return;
    setBusy(true);
    act().then(() => {
      if (done) say(done);
      close();
    }, (problem: unknown) => {
      setError(told(problem));
      setBusy(false);
    });
  };
  return [error, run];
}

export function told(problem: unknown): string {
  if (!(problem instanceof Failure)) return String(problem);
  const hint = problem.status === 403 ? " (this key may not do that)" : "";
  return problem.message + hint;
}

export function limitList(resource: Watched): string {
  return resource.limits.map((limit) => `${limit.amount.toLocaleString("en-US")} ${limitWords(limit)}`).join(", ");
}
