/** A list of the API as far as it has been looked at: page after page, as one scrolls. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { epoch } from "../../api/connection.ts";
import { raw } from "../../api/client.ts";
import { ApiError } from "../../api/errors.ts";

export interface Pages<T> {
  rows: T[];
  error: ApiError | null;
  loading: boolean;
  /** There is no more. */
  complete: boolean;
  more: () => void;
  reload: () => void;
}

/** `field`: of the answer, where the rows are. */
export function usePages<T>(path: string, field: string): Pages<T> {
  const [state, setState] = useState<{ path: string; rows: T[]; next: string | null; error: ApiError | null; loading: boolean }>({ path: "", rows: [], next: path, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const round = useRef(0);
  const busy = useRef(false);
  const moment = epoch.value;

  const ask = useCallback(async (from: string, before: T[], mine: number) => {
    busy.current = true;
    try {
      const found = await raw<Record<string, unknown> & { next?: string }>(from);
      if (round.current !== mine) return;
      const rows = before.concat((found[field] as T[]) ?? []);
      setState({ path, rows, next: found.next ?? null, error: null, loading: false });
    } catch (error) {
      if (round.current !== mine) return;
      const known = error instanceof ApiError ? error : new ApiError(-1, String(error));
      setState((was) => ({ ...was, path, rows: was.path === path ? was.rows : [], next: from, error: known, loading: false }));
    } finally {
      if (round.current === mine) busy.current = false;
    }
  }, [path, field]);

  useEffect(() => {
    const mine = ++round.current;
    setState((was) => ({ ...was, loading: true, error: null }));
    void ask(path, [], mine);
  }, [path, turn, moment]);

  const latest = useRef(state);
  latest.current = state;
  const more = useCallback(() => {
    const was = latest.current;
    if (busy.current || was.next === null || was.path !== path) return;
    setState({ ...was, loading: true, error: null });
    void ask(was.next, was.rows, round.current);
  }, [ask, path]);

  return { rows: state.path === path ? state.rows : [], error: state.error, loading: state.loading || state.path !== path, complete: state.next === null && state.path === path, more,
    reload: useCallback(() => setTurn((x) => x + 1), []) };
}
