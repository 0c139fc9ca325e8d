/** A table of many rows, of which those are drawn that one sees. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Pixels; the style sheet makes each row so high. */
const ROW = 44;
const BEYOND = 12;

interface Head {
  id: string;
  title: ComponentChildren;
  right?: boolean;
  narrow?: boolean;
  width?: number;
  sort?: "ascending" | "descending" | "none";
}

interface RowsProps<T> {
  label: string;
  head: readonly Head[];
  rows: readonly T[];
  row: (of: T) => readonly ComponentChildren[];
  name: (of: T) => string;
  /** The rows that are there come to their end. */
  end?: () => void;
  /** More may come: a screen reader does not take the number of rows for all there are. */
  open?: boolean;
}

export function Rows<T>({ label, head, rows, row, name, end, open = false }: RowsProps<T>): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, count: 40 });
  const look = (): void => {
    const place = box.current;
    if (!place) return;
    const first = Math.max(0, Math.floor(place.scrollTop / ROW) - BEYOND);
    const count = Math.ceil(place.clientHeight / ROW) + 2 * BEYOND;
    setSeen((was) => (was.first === first && was.count === count ? was : { first, count }));
  };
  useLayoutEffect(look, []);
  useEffect(() => {
    const watch = new ResizeObserver(look);
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const first = Math.min(seen.first, Math.max(0, rows.length - 1));
  const drawn = rows.slice(first, first + seen.count);
  const after = rows.length - first - drawn.length;
  useEffect(() => {
    if (after === 0) end?.();
  }, [after, rows.length, end]);
  return (
    <div class="rows" ref={box} onScroll={look} tabIndex={0} role="region" aria-label={label}>
      <table aria-rowcount={open ? -1 : rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {head.map((x) => (
              <th key={x.id} scope="col" class={`${x.right ? "right" : ""} ${x.narrow ? "" : "roomy"}`} style={x.width ? { width: `${x.width}rem` } : undefined}
                {...(x.sort ? { "aria-sort": x.sort } : {})}>
                {x.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && (
            <tr aria-hidden="true" class="gap">
              <td colSpan={head.length} style={{ height: `${first * ROW}px` }} />
            </tr>
          )}
          {drawn.map((x, i) => (
            <tr key={name(x)} aria-rowindex={first + i + 2}>
              {row(x).map((cell, at) => (
                <td key={head[at]?.id} class={`${head[at]?.right ? "right" : ""} ${head[at]?.narrow ? "" : "roomy"}`}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
          {after > 0 && (
            <tr aria-hidden="true" class="gap">
              <td colSpan={head.length} style={{ height: `${after * ROW}px` }} />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}
