/** Reads a file in pieces for tus, and says the digest of the piece that was read last. */
import type { FileReader, FileSource, SliceResult } from "tus-js-client";

/** One for each upload: its pieces are read one after the other. */
export class CheckedFiles implements FileReader {
  /** As the header Upload-Checksum has it. Empty where the browser computes no digests: without https, but on the own machine. */
  checksum = "";

  async openFile(input: unknown): Promise<FileSource> {
    const file = input as File;
    return {
      size: file.size,
      slice: async (start: number, end: number): Promise<SliceResult> => {
        const piece = file.slice(start, end);
        this.checksum = "";
        if (globalThis.crypto?.subtle) this.checksum = `sha1 ${base64(await crypto.subtle.digest("SHA-1", await piece.arrayBuffer()))}`;
        return { value: piece, done: end >= file.size };
      },
      close: () => undefined,
    };
  }
}

function base64(digest: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}
