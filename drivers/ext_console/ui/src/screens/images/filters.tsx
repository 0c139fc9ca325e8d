/** The API's filters, in the page's address: who gets the address sees the same. */
import { useLocation } from "preact-iso";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { session } from "../../api/session.ts";
import { t, tw } from "../../text.ts";
import { Choice, Text } from "../../ui/forms.tsx";
import { Button } from "../../ui/parts.tsx";

const STATUSES = ["active", "queued", "saving", "uploading", "importing", "deactivated", "killed"];
const VISIBILITIES = ["private", "shared", "public", "community", "all"];
const FORMATS = ["raw", "qcow2", "iso", "vmdk", "vdi", "vhd", "vhdx", "ami", "ari", "aki", "ploop"];
const OWN = new Set(["name", "status", "visibility", "disk_format", "tag", "owner", "os_hidden", "protected", "size_min", "size_max", "created_at", "sort", "limit", "member_status"]);

export type Filters = Record<string, string>;

/** Of the address. What the API does not know is the name of a property. */
export function filtersOf(query: Record<string, string>): Filters {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ""));
}

export function addressOf(filters: Filters): string {
  const found = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== "")).toString();
  return `/console/images${found ? `?${found}` : ""}`;
}

export function propertyOf(filters: Filters): string {
  const found = Object.entries(filters).find(([name]) => !OWN.has(name));
  return found ? `${found[0]}=${found[1]}` : "";
}

export function FilterBar({ filters }: { filters: Filters }): JSX.Element {
  const { route } = useLocation();
  const [values, setValues] = useState<Filters>(filters);
  const [property, setProperty] = useState(propertyOf(filters));
  const address = addressOf(filters);
  useEffect(() => {
    setValues(filters);
    setProperty(propertyOf(filters));
  }, [address]);
  const set = (name: string) => (value: string) => setValues({ ...values, [name]: value });
  const choose = (name: string) => (value: string) => go({ ...values, [name]: value });
  const go = (wanted: Filters): void => {
    const kept = Object.fromEntries(Object.entries(wanted).filter(([name]) => OWN.has(name)));
    const [name, ...value] = property.split("=");
    if (name?.trim() && value.length) kept[name.trim()] = value.join("=").trim();
    route(addressOf(kept));
  };
  const any = t("filter.any");
  const more = Object.keys(filters).some((x) => !["name", "status", "visibility", "sort"].includes(x));
  return (
    <form class="filters" role="search" aria-label={t("filter.label")} onSubmit={(e) => (e.preventDefault(), go(values))}>
      <Text label={t("filter.name")} value={values.name ?? ""} onInput={set("name")} type="search" />
      <Choice label={t("image.status")} value={values.status ?? ""} onInput={choose("status")} options={[["", any], ...STATUSES.map((x) => [x, tw("status", x)] as const)]} />
      <Choice label={t("image.visibility")} value={values.visibility ?? ""} onInput={choose("visibility")}
        options={[["", t("filter.visibility.usual")], ...VISIBILITIES.map((x) => [x, tw("visibility", x)] as const)]} />
      <details open={more}>
        <summary>{t("filter.more")}</summary>
        <div class="filters">
          <Choice label={t("image.disk_format")} value={values.disk_format ?? ""} onInput={choose("disk_format")} options={[["", any], ...FORMATS.map((x) => [x, x] as const)]} />
          <Text label={t("filter.tag")} value={values.tag ?? ""} onInput={set("tag")} />
          <Text label={t("filter.property")} value={property} onInput={setProperty} placeholder="os_distro=debian" />
          {session.value?.is_admin && <Text label={t("filter.owner")} value={values.owner ?? ""} onInput={set("owner")} />}
          <Text label={t("filter.created")} type="date" value={values.created_at?.replace(/^gte:/, "") ?? ""} onInput={(x) => set("created_at")(x && `gte:${x}`)} />
          <Choice label={t("filter.hidden")} value={values.os_hidden ?? ""} onInput={choose("os_hidden")} options={[["", t("filter.hidden.no")], ["true", t("filter.hidden.yes")]]} />
          <Choice label={t("image.protected")} value={values.protected ?? ""} onInput={choose("protected")} options={[["", any], ["true", t("yes")], ["false", t("no")]]} />
        </div>
      </details>
      <div class="row">
        <Button type="submit">{t("action.filter")}</Button>
        {Object.keys(filters).some((x) => x !== "sort") && (
          <Button kind="quiet" onClick={() => route(addressOf(filters.sort ? { sort: filters.sort } : {}))}>
            {t("action.filter.clear")}
          </Button>
        )}
      </div>
    </form>
  );
}
