// A chart over time. Drag to zoom in, double-click to see all again; charts of a page share the cursor.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour, isDark } from "../theme";

export interface Line { label: string; colour: string; dash?: boolean; fill?: boolean }
interface Props {
  title: string; lines: Line[]; at: number[]; values: (number | null)[][]; from: number; to: number; unit: (value: number) => string;
}

const HEIGHT = 190;

export function Chart({ title, lines, at, values, from, to, unit }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const zoom = useRef(false);
  const range = useRef<[number, number]>([from, to]);
  range.current = [from, to];
  const shape = lines.map((line) => line.label).join("|");

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(title, lines, unit, element.clientWidth, zoom, range), aligned(at, values), element);
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => { resized.disconnect(); made.destroy(); chart.current = null; };
  }, [shape, isDark.value]);

  useEffect(() => {
    const made = chart.current;
    if (!made) return;
    made.setData(aligned(at, values), false);
    if (!zoom.current) made.setScale("x", { min: from, max: to });
    else made.redraw();
  }, [at, values, from, to]);

  const last = lines.map((line, place) => {
    const value = values[place]?.findLast((value) => value !== null);
    return value == null ? null : `${line.label} ${unit(value)}`;
  }).filter((said) => said !== null);
  return (
    <figure class="chart">
      <figcaption>{title}<span class="unseen">. At last: {last.join(", ") || "nothing is known"}.</span></figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
    </figure>
  );
}

function timeWords(at: number, step: number): string {
  const time = new Date(at * 1_000);
  if (step >= 43_200) return time.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  return time.toLocaleTimeString(undefined, { hour12: false, hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) });
}

function aligned(at: number[], values: (number | null)[][]): uPlot.AlignedData {
  return [at, ...values];
}

function options(
  title: string, lines: Line[], unit: (value: number) => string, width: number,
  zoom: { current: boolean }, range: { current: [number, number] },
): uPlot.Options {
  const axis = { stroke: colour("faint"), grid: { stroke: colour("rule"), width: 1 }, ticks: { stroke: colour("rule"), width: 1 }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height: HEIGHT,
    cursor: { sync: { key: "charts" }, drag: { x: true, y: false }, points: { size: 5 } },
    legend: { live: true },
    scales: {
      x: { time: true },
      y: { range: (_, least, most) => [Math.min(0, least ?? 0), (most ?? 0) > 0 ? most * 1.08 : 1] },
    },
    axes: [
      { ...axis, space: 70, values: (_, splits, __, ___, step) => splits.map((at) => timeWords(at, step)) },
      { ...axis, size: 64, values: (_, splits) => splits.map((value) => unit(value)) },
    ],
    series: [
      { value: (_, value) => value == null ? "–" : new Date(value * 1_000).toLocaleString(undefined, { hour12: false }) },
      ...lines.map((line): uPlot.Series => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 1.5,
        ...(line.dash ? { dash: [5, 4] } : {}),
        ...(line.fill ? { fill: `${colour(line.colour)}2b` } : {}),
        points: { show: false },
        // Where nobody points, the legend tells the last.
        value: (chart, value, series, at) => {
          const told = value ?? (at == null ? (chart.data[series] as (number | null)[]).findLast((one) => one !== null) : null);
          return told == null ? "–" : unit(told);
        },
      })),
    ],
    hooks: {
      setSelect: [(chart) => { if (chart.select.width > 0) zoom.current = true; }],
      ready: [(chart) => {
        chart.over.addEventListener("dblclick", () => {
          zoom.current = false;
          chart.setScale("x", { min: range.current[0], max: range.current[1] });
        });
        chart.root.title = `${title}: drag to zoom in, double-click to see all`;
      }],
    },
  };
}
