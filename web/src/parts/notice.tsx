// What was done, said once, also to those who do not see it.
import { signal } from "@preact/signals";

const said = signal("");
let timer = 0;

export function say(text: string): void {
  said.value = text;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => { said.value = ""; }, 6_000);
}

export function Notice() {
  return <div class={said.value ? "notice is-shown" : "notice"} role="status">{said.value}</div>;
}
