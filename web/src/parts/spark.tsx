// A small chart of the last minutes: grants a second as a line, how many wait as an area.
import { useEffect, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { trailed, trails } from "../live";
import { colour, isDark } from "../theme";

const SECONDS = 180;

export function Spark({ name }: { name: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    let isSeen = true;
    const seen = new IntersectionObserver((entries) => { isSeen = entries.at(-1)?.isIntersecting ?? true; });
    seen.observe(element);
    const stop = effect(() => {
      void trailed.value;
      void isDark.value;
      if (isSeen) draw(element, name);
    });
    return () => { stop(); seen.disconnect(); };
  }, [name]);
  return <canvas ref={canvas} class="spark" role="img" aria-label="Grants a second and how many wait, over the last three minutes" />;
}

function draw(element: HTMLCanvasElement, name: string): void {
  const context = element.getContext("2d");
  const trail = trails.get(name);
  if (!context) return;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [element.clientWidth, element.clientHeight];
  if (element.width !== Math.round(width * scale) || element.height !== Math.round(height * scale)) {
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!trail || trail.at.length < 2) return;
  const end = trail.at.at(-1) ?? 0;
  const line = (values: readonly number[], area: boolean): void => {
    const most = Math.max(1e-9, ...values.slice(-SECONDS));
    const points: [number, number][] = [];
    values.forEach((value, at) => {
      const age = end - (trail.at[at] ?? end);
      if (age <= SECONDS) points.push([width * (1 - age / SECONDS), height - 2 - (height - 4) * value / most]);
    });
    const first = points[0];
    if (!first) return;
    context.beginPath();
    context.moveTo(...first);
    for (const point of points) context.lineTo(...point);
    if (area) {
      context.lineTo(width, height);
      context.lineTo(first[0], height);
      context.fill();
    } else {
      context.stroke();
    }
  };
  context.fillStyle = colour("waits-area");
  if (trail.waiting.some((value) => value > 0)) line(trail.waiting, true);
  context.strokeStyle = colour("accent");
  context.lineWidth = 1.5;
  line(trail.grants, false);
}
