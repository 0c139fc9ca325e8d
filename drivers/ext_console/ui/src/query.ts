/** Reading from the service in a component, and doing something there. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { away, epoch } from "./api/connection.ts";
import { ApiError } from "./api/errors.ts";

export interface Query<T> {
  data: T | undefined;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
  /** Shows this until the service is asked again. */
  put: (data: T) => void;
}

function known(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(-1, error instanceof Error ? error.message : String(error));
}

/**
 * Asks once for each `key`, again when the service came back or somebody logged in, and each `poll` milliseconds while the page is seen.
 * What was there stays while it is asked anew. A null key asks nothing.
 */
export function useQuery<T>(key: string | null, ask: () => Promise<T>, poll: number | ((data: T | undefined) => number) = 0): Query<T> {
  const [state, setState] = useState<{ key: string | null; data?: T; error: ApiError | null; loading: boolean }>({ key, error: null, loading: key !== null });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  const pace = useRef(poll);
  pace.current = poll;
  const moment = epoch.value;

  useEffect(() => {
    if (key === null) return undefined;
    let live = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      let found: T | undefined;
      try {
        found = await latest.current();
        const data = found;
        if (live) setState({ key, data, error: null, loading: false });
      } catch (error) {
        if (live) setState((was) => ({ key, ...(was.key === key && was.data !== undefined ? { data: was.data } : {}), error: known(error), loading: false }));
      }
      const every = typeof pace.current === "function" ? pace.current(found) : pace.current;
      if (live && every) timer = setTimeout(again, every);
    };
    const again = (): void => {
      if (document.hidden || away.value !== null) timer = setTimeout(again, 1000);
      else void run();
    };
    setState((was) => ({ key, ...(was.key === key && was.data !== undefined ? { data: was.data } : {}), error: null, loading: true }));
    void run();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [key, turn, moment]);

  const same = state.key === key;
  return {
    data: same ? state.data : undefined,
    error: same ? state.error : null,
    loading: key !== null && (same ? state.loading : true),
    reload: useCallback(() => setTurn((x) => x + 1), []),
    put: useCallback((data: T) => setState((was) => ({ ...was, data })), []),
  };
}

export interface Action<A extends unknown[]> {
  run: (...args: A) => Promise<boolean>;
  busy: boolean;
  error: ApiError | null;
  clear: () => void;
}

/** Something that is done on a click: one at a time, and its failure is kept to be shown. */
export function useAction<A extends unknown[]>(act: (...args: A) => Promise<unknown>): Action<A> {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const latest = useRef(act);
  latest.current = act;
  const running = useRef(false);
  const run = useCallback(async (...args: A) => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      await latest.current(...args);
      return true;
    } catch (failure) {
      setError(known(failure));
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  }, []);
  return { run, busy, error, clear: useCallback(() => setError(null), []) };
}
