/** Digests of files, computed beside the page. */
export type Algorithm = "md5" | "sha1" | "sha256" | "sha384" | "sha512";

const BY_LENGTH: Record<number, Algorithm> = { 32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512" };

/** By the number of hexadecimal digits; undefined for what is no digest. */
export function algorithmOf(digest: string): Algorithm | undefined {
  return /^[0-9a-f]+$/i.test(digest) ? BY_LENGTH[digest.length] : undefined;
}

/** In hexadecimal. A worker reads the file, so that the page stays quick. */
export function digestOf(file: File, algorithm: Algorithm): Promise<string> {
  return new Promise((done, failed) => {
    const worker = new Worker(new URL("./digest.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<{ digest?: string; error?: string }>) => {
      worker.terminate();
      if (data.digest) done(data.digest);
      else failed(new Error(data.error));
    };
    worker.onerror = (event) => {
      worker.terminate();
      failed(new Error(event.message));
    };
    worker.postMessage({ file, algorithm });
  });
}
