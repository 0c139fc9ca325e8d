/** Metadata definitions as a tree: namespaces, their objects, properties and tags. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { away } from "../api/connection.ts";
import { namespace, namespaceNames, type Definition } from "../definitions.ts";
import { useQuery } from "../query.ts";
import { t, tn } from "../text.ts";
import { Text } from "../ui/forms.tsx";
import { Badge, Empty, Loading, Note, Screen, Trouble } from "../ui/parts.tsx";

export function Definitions(): JSX.Element {
  const { query, route, path } = useLocation();
  const found = useQuery("namespaces", () => namespaceNames());
  const [word, setWord] = useState(query.search ?? "");
  const shown = found.data?.filter((x) => `${x.namespace} ${x.display_name ?? ""} ${x.description ?? ""}`.toLowerCase().includes(word.toLowerCase())) ?? [];
  return (
    <Screen title={t("definitions.title")} about={t("definitions.about")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      {found.data?.length === 0 && (
        <Empty title={t("definitions.none")}>
          <p>{t("definitions.none.about")}</p>
          <pre>glance-manage metadefs load</pre>
        </Empty>
      )}
      {found.data && found.data.length > 0 && (
        <>
          <form role="search" onSubmit={(e) => (e.preventDefault(), route(word ? `${path}?search=${encodeURIComponent(word)}` : path, true))}>
            <Text label={t("definitions.search")} type="search" value={word} onInput={setWord} />
          </form>
          <p class="muted" role="status">
            {tn("definitions.count", shown.length)}
          </p>
          <ul class="tree">
            {shown.map((x) => (
              <li key={x.namespace}>
                <Branch name={x.namespace} title={x.display_name ?? x.namespace} about={x.description ?? ""} open={shown.length === 1} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Screen>
  );
}

function Branch({ name, title, about, open }: { name: string; title: string; about: string; open: boolean }): JSX.Element {
  const [seen, setSeen] = useState(open);
  const found = useQuery(seen ? `namespace ${name}` : null, () => namespace(name));
  const space = found.data;
  return (
    <details open={open} onToggle={(e) => e.currentTarget.open && setSeen(true)}>
      <summary>
        <strong>{title}</strong> <code>{name}</code>
      </summary>
      <p class="muted">{about}</p>
      {found.error && <Trouble error={found.error} retry={found.reload} />}
      {seen && !space && found.loading && <Loading />}
      {space && (
        <>
          {(space.resource_type_associations?.length ?? 0) > 0 && (
            <p class="row">
              {t("definitions.for")}
              {space.resource_type_associations?.map((x) => <Badge key={x.name}>{x.prefix ? `${x.name} (${x.prefix}…)` : x.name}</Badge>)}
            </p>
          )}
          <PropertyList all={space.properties ?? {}} />
          <ul class="tree">
            {space.objects?.map((x) => (
              <li key={x.name}>
                <details>
                  <summary>
                    <strong>{x.name}</strong> <Badge>{t("definitions.object")}</Badge>
                  </summary>
                  {x.description && <p class="muted">{x.description}</p>}
                  <PropertyList all={(x.properties ?? {}) as Record<string, Definition>} />
                </details>
              </li>
            ))}
          </ul>
          {(space.tags?.length ?? 0) > 0 && (
            <p class="row">
              {t("image.tags")} {space.tags?.map((x) => <Badge key={x.name}>{x.name}</Badge>)}
            </p>
          )}
          {!Object.keys(space.properties ?? {}).length && !space.objects?.length && !space.tags?.length && <Note>{t("definitions.empty")}</Note>}
        </>
      )}
    </details>
  );
}

function PropertyList({ all }: { all: Record<string, Definition> }): JSX.Element | null {
  const rows = Object.entries(all);
  if (!rows.length) return null;
  return (
    <ul class="tree">
      {rows.map(([name, x]) => (
        <li key={name}>
          <details>
            <summary>
              <code>{name}</code> {x.title} <Badge>{x.type}</Badge>
            </summary>
            {x.description && <p>{x.description}</p>}
            {x.enum && <p class="row">{t("definitions.values")} {x.enum.map((each) => <Badge key={String(each)}>{String(each)}</Badge>)}</p>}
            {x.default !== undefined && <p>{t("definitions.default", { value: String(x.default) })}</p>}
            {(x.minimum !== undefined || x.maximum !== undefined) && <p>{t("definitions.range", { from: x.minimum ?? "–", to: x.maximum ?? "–" })}</p>}
            <p>
              <a href={`/console/images?${new URLSearchParams(x.enum?.length ? { [name]: String(x.enum[0]) } : {})}`}>{x.enum?.length ? t("definitions.images") : ""}</a>
            </p>
          </details>
        </li>
      ))}
    </ul>
  );
}
