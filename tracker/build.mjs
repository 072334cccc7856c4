// Builds s.min.js and its second part s2.min.js where the edge serves them from, or (`--tests`) the unit tests for Node's own runner.
// Usage: node build.mjs [FOLDER | --tests]. The same sources and lock file give the same bytes.
import { build } from "esbuild";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
const [target = join(here, "../runtime/sinal_hub/ingest/tracking")] = process.argv.slice(2);
// Members of our own interfaces, which the minifier can't tell from the browser's by itself. None of them is on the wire,
// in storage, in the page's API or a member of anything of the browser's that the sources use.
const internal = `
  again automatic batchUrl ignored newAd newTouch pairing put read settle visit wake write`;

const common = { absWorkingDir: here, bundle: true, charset: "utf8", logLevel: "warning" };

if (target === "--tests") {
  rmSync(join(here, ".build"), { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: readdirSync(join(here, "test")).map((name) => `test/${name}`),
    platform: "node",
    format: "esm",
    outdir: ".build",
    outExtension: { ".js": ".mjs" },
    // Node 18 has what browsers call `crypto` under another name only.
    banner: { js: 'import { webcrypto } from "node:crypto"; globalThis.crypto ??= webcrypto;' },
  });
} else {
  for (const [source, name] of [["main", "s"], ["second", "s2"]]) writeFileSync(join(target, name + ".min.js"), await built(source));
}

async function built(source) {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [`src/${source}.ts`],
    write: false,
    format: "esm", // and one function around it in the end
    target: "es2018", // Chrome 64, Safari 12, Firefox 78: what the sources call is there, too
    minify: true,
    tsconfigRaw: { compilerOptions: { alwaysStrict: false } }, // modules are strict already while they are checked
    mangleProps: new RegExp(`^(${internal.trim().split(/\s+/).join("|")})$`),
    legalComments: "none",
  });
  // Terser looks over the whole, and writes it a twentieth smaller.
  const { code } = await minify(outputFiles[0].text, {
    ecma: 2018,
    module: true,
    compress: { passes: 3, hoist_funs: true, unsafe: true, unsafe_arrows: true, unsafe_comps: true, unsafe_math: true, unsafe_methods: true, pure_getters: true },
    format: { ascii_only: true },
  });
  return `(()=>{${code.replace(/;?$/, "")}})();`;
}
