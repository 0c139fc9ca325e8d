import { useLocation } from "preact-iso";
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { away } from "../../api/connection.ts";
import { extension } from "../../api/session.ts";
import { usePermissions } from "../../permissions.ts";
import { t, tn } from "../../text.ts";
import { Check, Dialog } from "../../ui/forms.tsx";
import { Button, Empty, Loading, Screen, Trouble } from "../../ui/parts.tsx";
import { Rows } from "../../ui/rows.tsx";
import { addressOf, FilterBar, filtersOf, type Filters } from "./filters.tsx";
import { choose, chosen, COLUMNS, type Column } from "./columns.tsx";
import { busy, type Image } from "./model.ts";
import { usePages } from "./pages.ts";

/** Rows of a page: a few screens of them. */
const PAGE = 200;

export function Images(): JSX.Element {
  const { query } = useLocation();
  const filters = filtersOf(query);
  const may = usePermissions();
  const path = `/v2/images?${new URLSearchParams({ limit: String(PAGE), ...filters })}`;
  const pages = usePages<Image>(path, "images");
  const [choosing, setChoosing] = useState(false);
  const columns = COLUMNS.filter((x) => chosen.value.includes(x.id) && (!x.extension || extension(x.extension)));
  // what is under way changes soon; who has scrolled on is not thrown back for it
  const moving = !pages.loading && pages.rows.length <= PAGE && pages.rows.some(busy);
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => document.hidden || away.value !== null || pages.reload(), 5000);
    return () => clearInterval(timer);
  }, [moving]);
  const filtered = Object.keys(filters).some((x) => x !== "sort");
  const actions = may("add_image") && (
    <>
      <a class="button main" href="/console/upload">
        {t("action.upload")}
      </a>
      <a class="button" href="/console/import">
        {t("action.import")}
      </a>
    </>
  );
  const head = useMemo(() => columns.map((x) => ({ id: x.id, title: <Heading column={x} filters={filters} />, width: x.width, ...(x.right ? { right: true } : {}),
    ...(x.narrow ? { narrow: true } : {}), ...(x.sorts ? { sort: sortOf(x.id, filters) } : {}) })), [chosen.value, addressOf(filters)]);
  return (
    <Screen title={t("images.title")} actions={actions}>
      <FilterBar filters={filters} />
      {pages.error && away.value === null && <Trouble error={pages.error} retry={pages.rows.length ? pages.more : pages.reload} />}
      {pages.rows.length > 0 ? (
        <>
          <Rows label={t("images.title")} head={head} rows={pages.rows} row={(x) => columns.map((each) => each.cell(x))} name={(x) => x.id}
            {...(pages.complete || pages.error ? {} : { end: pages.more })} open={!pages.complete} />
          <p class="row between">
            <span class="muted" role="status">
              {pages.complete ? tn("images.all", pages.rows.length) : tn("images.some", pages.rows.length)}
            </span>
            <span class="row">
              {!pages.complete && (
                <Button onClick={pages.more} busy={pages.loading}>
                  {t("action.more")}
                </Button>
              )}
              <Button onClick={pages.reload} busy={pages.loading}>
                {t("action.reload")}
              </Button>
              <Button onClick={() => setChoosing(true)}>{t("action.columns")}</Button>
            </span>
          </p>
        </>
      ) : pages.loading ? (
        <Loading />
      ) : (
        !pages.error && (filtered ? (
          <Empty title={t("images.none.filtered")} actions={<a href={addressOf({})}>{t("action.filter.clear")}</a>}>
            <p>{t("images.none.filtered.about")}</p>
          </Empty>
        ) : (
          <Empty title={t("images.none")} actions={actions}>
            <p>{t("images.none.about")}</p>
            <p>{t("images.none.clients")}</p>
            <pre>openstack image create --disk-format qcow2 --container-format bare --file disk.qcow2 debian-13</pre>
          </Empty>
        ))
      )}
      {choosing && <ColumnDialog close={() => setChoosing(false)} />}
    </Screen>
  );
}

function sortOf(id: string, filters: Filters): "ascending" | "descending" | "none" {
  const [key, direction = "desc"] = (filters.sort ?? "created_at:desc").split(":");
  return key !== id ? "none" : direction === "asc" ? "ascending" : "descending";
}

function Heading({ column, filters }: { column: Column; filters: Filters }): JSX.Element {
  const { route } = useLocation();
  if (!column.sorts) return <>{t(column.title)}</>;
  const now = sortOf(column.id, filters);
  const other = now === "descending" || (now === "none" && column.id === "name") ? "asc" : "desc";
  return (
    <button type="button" class="sort" onClick={() => route(addressOf({ ...filters, sort: `${column.id}:${other}` }))}>
      {t(column.title)}
      <span aria-hidden="true">{now === "ascending" ? " ▲" : now === "descending" ? " ▼" : ""}</span>
    </button>
  );
}

function ColumnDialog({ close }: { close: () => void }): JSX.Element {
  const found = COLUMNS.filter((x) => !x.extension || extension(x.extension));
  return (
    <Dialog title={t("columns.title")} close={close}>
      <p class="muted">{t("columns.about")}</p>
      <div class="columns">
        {found.map((x) => (
          <Check key={x.id} label={t(x.title)} checked={chosen.value.includes(x.id)} disabled={x.id === "name"}
            onInput={(on) => choose(on ? [...chosen.value, x.id] : chosen.value.filter((each) => each !== x.id))} />
        ))}
      </div>
      <p class="row end">
        <Button kind="main" onClick={close}>
          {t("action.close")}
        </Button>
      </p>
    </Dialog>
  );
}
