// The limits of all resources, for administrators.
import { useState } from "preact/hooks";
import { hasLoaded, names, resources } from "../live";
import { Actions, EditLimits, limitList } from "../parts/actions";
import { resourceLink } from "../route";
import type { Watched } from "../types";
import type { Signal } from "@preact/signals";

export function Page() {
  const [isAdding, add] = useState(false);
  return (
    <>
      <header class="title"><h1>Limits</h1><div class="actions"><button type="button" class="primary" onClick={() => add(true)}>Add a resource</button></div></header>
      {isAdding && <EditLimits close={() => add(false)} />}
      {hasLoaded.value && names.value.length === 0 && <p class="faint">There are none yet.</p>}
      {names.value.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label="All resources">
          <table>
            <thead><tr><th scope="col">Resource</th><th scope="col">Limits</th><th scope="col">State</th><th scope="col">Do</th></tr></thead>
            <tbody>{names.value.map((name) => { const of = resources.value.get(name); return of && <Row key={name} of={of} />; })}</tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Row({ of }: { of: Signal<Watched> }) {
  const resource = of.value;
  return (
    <tr data-resource={resource.name}>
      <th scope="row"><a href={resourceLink(resource.name)}>{resource.name}</a></th>
      <td>{limitList(resource)}</td>
      <td>{resource.paused ? <span class="tag tag-paused">paused</span> : <span class="tag">in force</span>}</td>
      <td><Actions resource={resource} /></td>
    </tr>
  );
}
