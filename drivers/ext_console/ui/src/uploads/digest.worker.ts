import { md5, sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Algorithm } from "./digest.ts";

const ALGORITHMS = { md5, sha1, sha256, sha384, sha512 };
const PIECE = 4 << 20;

addEventListener("message", async ({ data }: MessageEvent<{ file: File; algorithm: Algorithm }>) => {
  try {
    const hash = ALGORITHMS[data.algorithm].create();
    for (let at = 0; at < data.file.size; at += PIECE) hash.update(new Uint8Array(await data.file.slice(at, at + PIECE).arrayBuffer()));
    postMessage({ digest: bytesToHex(hash.digest()) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
});
