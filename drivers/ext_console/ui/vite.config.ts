import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** tools/console.sh moves it into the package when it is whole. */
const OUT = "dist";

/** Writes FILE.br and FILE.gz beside each file, so that the server compresses nothing. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const each of readdirSync(OUT, { withFileTypes: true, recursive: true })) {
        if (!each.isFile() || !/\.(js|css|html|svg|json)$/.test(each.name)) continue;
        const file = join(each.parentPath, each.name);
        const text = readFileSync(file);
        writeFileSync(`${file}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
        writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
      }
    },
  };
}

/** GLANCE_URL: a running service with the console, whose pages come from here instead. */
const service = process.env.GLANCE_URL ?? "http://127.0.0.1:9292";

export default defineConfig({
  base: "/console/",
  plugins: [compressed()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "assets",
    assetsInlineLimit: 0, // nothing inline: the policy of the page forbids it
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
  server: { proxy: Object.fromEntries(["session", "sessions", "permissions", "api", "websso"].map((x) => [`/console/${x}`, { target: service }])) },
});
