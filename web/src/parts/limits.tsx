// The limits of a resource, each as a bar of what is used, held and left.
import { compact, count, fullWords, limitWords } from "../words";
import type { Limit } from "../types";

function Bar({ limit }: { limit: Limit }) {
  const all = Math.max(1, limit.most, limit.used + limit.held);
  const part = (amount: number): string => `scaleX(${Math.min(1, Math.max(0, amount / all)).toFixed(4)})`;
  return (
    <div class="bar" aria-hidden="true">
      <div class="bar-held" style={{ transform: part(limit.used + limit.held) }} />
      <div class={limit.left <= 0 ? "bar-used is-full" : "bar-used"} style={{ transform: part(limit.used) }} />
    </div>
  );
}

interface Props { limits: readonly Limit[]; binds: string | undefined; name: string }

export function Limits({ limits, binds, name }: Props) {
  return (
    <table class="limits">
      <caption class="unseen">Limits of {name}</caption>
      <thead>
        <tr>
          <th scope="col">Limit</th><th scope="col" class="wide"><span class="unseen">Used and held</span></th>
          <th scope="col" class="number">Left</th><th scope="col" class="number">Full again</th>
        </tr>
      </thead>
      <tbody>
        {limits.map((limit) => (
          <tr key={limit.name} class={limit.name === binds ? "binds" : ""} data-limit={limit.name}>
            <th scope="row" title={limit.name}>
              {limitWords(limit)}
              {limit.name === binds && <span class="tag tag-waits">binds</span>}
              {limit.shadow && <span class="tag">only counted</span>}
              {limit.paused && <span class="tag tag-paused">paused</span>}
            </th>
            <td class="wide" title={`${count(limit.used)} used, ${count(limit.held)} held for calls that have not settled`}>
              <Bar limit={limit} />
              <span class="unseen">{count(limit.used)} used, {count(limit.held)} held</span>
            </td>
            <td class="number" data-left={limit.left} data-used={limit.used} data-held={limit.held}>
              {compact(limit.left)} <span class="faint">of {compact(limit.most)}</span>
            </td>
            <td class="number faint">{fullWords(limit)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
