/** Names are their owners': what nobody sees in them, or turns the direction of the line, is written out wherever a page shows text. Fields keep it as it is. */
import { options } from "preact";

/** As `glancecore/domain/text.py` has them; without a look behind, which not every browser has. */
const UNSEEN =
  /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;
/** They choose the form of the character before them, of those that have forms, and of keys (U+20E3); behind all else nobody sees them. */
const SELECTOR = /^[\u180b-\u180d\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]$/u;
const HAS_FORMS = /[^\0-\u00a8\u00aa-\u00ad\u00af-\u17ff\u180b-\u180d\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]$/u;
/** Attributes that are read out or shown. */
const SHOWN = ["title", "aria-label", "alt", "label"];

/** `text` with a code in the place of each such character, as logs and commands have it. */
export function written(text: string): string {
  return text.replace(UNSEEN, (x, at: number) => {
    if (SELECTOR.test(x) && (HAS_FORMS.test(text.slice(Math.max(0, at - 2), at)) || text[at + x.length] === "\u20e3")) return x;
    const code = x.codePointAt(0) ?? 0;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

/** Once, before anything is shown: it is true of each element of each screen. */
export function writeOutUnseen(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    if (typeof vnode.type === "string") {
      const props = vnode.props as Record<string, unknown>;
      props["children"] = shown(props["children"]);
      for (const name of SHOWN) if (name in props) props[name] = shown(props[name]);
    }
    before?.(vnode);
  };
}

function shown(child: unknown): unknown {
  if (typeof child === "string") return written(child);
  return Array.isArray(child) ? child.map(shown) : child;
}
