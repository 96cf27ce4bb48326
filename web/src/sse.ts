// Server-sent events by fetch, so that the key travels in a header and never in an address.
import { Failure, key, request } from "./api";

export interface Message { id: string; name: string; data: string }
export type Standing = "connecting" | "live" | "lost" | "refused";

interface Reader {
  path: string;
  onMessage(message: Message): void;
  onStanding(standing: Standing, why?: Failure): void;
  /// Where to go on, for streams that can.
  lastId?: string;
}

/// How long nothing may come: the server says something every 5 to 15 seconds.
const SILENCE_MS = 25_000;
/// How long a stream may take to begin: a connection to a server that stopped may hang.
const BEGIN_MS = 6_000;
const LONGEST_PAUSE_MS = 5_000;

/// Follows a stream, again and again, until the returned function is called.
export function follow(reader: Reader): () => void {
  let ended = false;
  let abort = new AbortController();
  let lastId = reader.lastId ?? "";
  let wake: () => void = () => {};

  async function once(): Promise<void> {
    abort = new AbortController();
    let silence = window.setTimeout(() => abort.abort(), BEGIN_MS);
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (lastId) headers["Last-Event-ID"] = lastId;
      const response = await request(reader.path, { headers, signal: abort.signal });
      if (!response.body) throw new Failure(0, "The server does not answer.");
      window.clearTimeout(silence);
      silence = window.setTimeout(() => abort.abort(), SILENCE_MS);
      reader.onStanding("live");
      const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await lines.read();
        if (done) return;
        window.clearTimeout(silence);
        silence = window.setTimeout(() => abort.abort(), SILENCE_MS);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const message = parsed(block);
          if (!message) continue;
          if (message.id) lastId = message.id;
          reader.onMessage(message);
        }
      }
    } finally {
      window.clearTimeout(silence);
      abort.abort();
    }
  }

  async function run(): Promise<void> {
    let pause = 250;
    while (!ended) {
      const began = Date.now();
      let why: Failure | undefined;
      try {
        await once();
      } catch (error) {
        why = error instanceof Failure ? error : undefined;
      }
      if (ended) return;
      const refused = why && (why.status === 401 || why.status === 403);
      reader.onStanding(refused ? "refused" : "lost", why);
      pause = Date.now() - began > 10_000 ? 250 : Math.min(pause * 2, LONGEST_PAUSE_MS);
      await new Promise<void>((resolve) => {
        wake = resolve;
        window.setTimeout(resolve, refused ? 30_000 : pause);
      });
    }
  }

  // Another key is tried at once.
  const unsubscribe = key.subscribe(() => {
    abort.abort();
    wake();
  });
  reader.onStanding("connecting");
  void run();
  return () => {
    ended = true;
    unsubscribe();
    abort.abort();
    wake();
  };
}

function parsed(block: string): Message | undefined {
  const message: Message = { id: "", name: "message", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at <= 0) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    switch (line.slice(0, at)) {
      case "id": message.id = value; break;
      case "event": message.name = value; break;
      case "data": message.data += value; break;
    }
  }
  return message.data ? message : undefined;
}
