/** What a file is, by how it begins; what its name says where that tells nothing. */
const SIGNS: [number, string, string][] = [
  [0, "QFI\xfb", "qcow2"],
  [0, "KDMV", "vmdk"],
  [0, "COWD", "vmdk"],
  [0, "# Disk DescriptorFile", "vmdk"],
  [0, "conectix", "vhd"],
  [0, "vhdxfile", "vhdx"],
  [64, "\x7f\x10\xda\xbe", "vdi"],
  [0, "WithoutFreeSpace", "ploop"],
  [0, "WithouFreSpacExt", "ploop"],
  [0x8001, "CD001", "iso"],
];
const BY_NAME: Record<string, string> = { qcow2: "qcow2", qcow: "qcow2", img: "raw", raw: "raw", bin: "raw", vmdk: "vmdk", vhd: "vhd", vhdx: "vhdx", vdi: "vdi", iso: "iso" };

export function formatByName(name: string): string {
  return BY_NAME[name.split(/[?#]/)[0]?.replace(/\.(gz|xz|zst|bz2|zip)$/i, "").split(".").pop()?.toLowerCase() ?? ""] ?? "raw";
}

export function formatOf(head: Uint8Array, name: string): string {
  for (const [at, sign, format] of SIGNS) {
    if (sign.split("").every((x, i) => head[at + i] === x.charCodeAt(0))) return format;
  }
  const byName = formatByName(name);
  return byName === "qcow2" ? "raw" : byName; // it would begin otherwise
}

export async function formatOfFile(file: Blob, name: string): Promise<string> {
  return formatOf(new Uint8Array(await file.slice(0, 0x8010).arrayBuffer()), name);
}

/** "debian-13.qcow2" → "debian-13". */
export function nameOf(path: string): string {
  const name = path.split(/[?#]/)[0]?.split("/").pop() ?? "";
  return decoded(name).replace(/(\.(qcow2|qcow|img|raw|bin|vmdk|vhdx?|vdi|iso))?(\.(gz|xz|zst|bz2|zip))?$/i, "") || name;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
