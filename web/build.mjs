// Bundles the dashboard into dist/: a page, scripts and styles named by their hashes, and the compressed forms of each.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const home = dirname(fileURLToPath(import.meta.url));
const dist = join(home, "dist");
rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, "assets"), { recursive: true });

const result = await build({
  absWorkingDir: home,
  entryPoints: ["src/main.tsx", "src/style.css"],
  bundle: true,
  minify: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  outdir: join(dist, "assets"),
  metafile: true,
  write: false,
  logLevel: "warning",
});

const named = {};
for (const file of result.outputFiles) {
  keep(join("assets", basename(file.path)), file.contents);
}
for (const [path, output] of Object.entries(result.metafile.outputs)) {
  if (output.entryPoint) named[output.entryPoint] = `/assets/${basename(path)}`;
}
const icon = readFileSync(join(home, "src/icon.svg"));
const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
keep(join("assets", iconName), icon);
const page = readFileSync(join(home, "src/index.html"), "utf8")
  .replace("{script}", named["src/main.tsx"])
  .replace("{style}", named["src/style.css"])
  .replace("{icon}", `/assets/${iconName}`);
keep("index.html", Buffer.from(page));

function keep(name, content) {
  writeFileSync(join(dist, name), content);
  const best = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  for (const [end, packed] of [["br", brotliCompressSync(content, best)], ["gz", gzipSync(content, { level: 9 })]]) {
    if (packed.length < content.length) writeFileSync(join(dist, `${name}.${end}`), packed);
  }
}
