/** Where copies of the data lie: stores, the image cache, and locations where the operator shows them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { ApiError } from "../../api/errors.ts";
import { importMethods, stores, takes } from "../../info.ts";
import type { May } from "../../permissions.ts";
import { useQuery } from "../../query.ts";
import { bytes } from "../../format.ts";
import { t } from "../../text.ts";
import { Check, Confirm } from "../../ui/forms.tsx";
import { Badge, Button, Copyable, Section, Time } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import { storesOf, type Image } from "./model.ts";

export function Copies({ image, may, changed }: { image: Image; may: May; changed: () => void }): JSX.Element {
  const all = useQuery("stores", () => stores());
  const methods = useQuery("methods", importMethods);
  const [copying, setCopying] = useState(false);
  const [removing, setRemoving] = useState("");
  const has = storesOf(image);
  const others = all.data?.filter((x) => !has.includes(x.id) && takes(x)).map((x) => x.id) ?? [];
  return (
    <Section title={t("copies.title")} actions={image.status === "active" && others.length > 0 && methods.data?.includes("copy-image") && may("copy_image") && (
      <Button onClick={() => setCopying(true)}>{t("action.copyto")}</Button>
    )}>
      {!has.length && <p class="muted">{t("copies.none")}</p>}
      <ul class="list">
        {has.map((id) => {
          const store = all.data?.find((x) => x.id === id);
          return (
            <li key={id} class="row between">
              <span class="row">
                <strong>{id}</strong>
                {store?.description && <span class="muted">{store.description}</span>}
                {store?.default === "true" && <Badge>{t("store.default")}</Badge>}
                {store?.["read-only"] === "true" && <Badge tone="warn">{t("store.readonly")}</Badge>}
                {store?.available === "false" && <Badge tone="bad">{t("store.away")}</Badge>}
                {all.data && !store && <Badge tone="bad">{t("store.unknown")}</Badge>}
              </span>
              {has.length > 1 && may("delete_image_location") && <Button onClick={() => setRemoving(id)}>{t("action.copy.remove")}</Button>}
            </li>
          );
        })}
      </ul>
      <Cached image={image} may={may} />
      <Locations image={image} may={may} />
      {copying && <CopyDialog image={image} others={others} close={() => setCopying(false)} changed={changed} />}
      {removing && (
        <Confirm title={t("copies.remove.title", { store: removing })} effects={[t("copies.remove.effect", { n: has.length - 1 }), t("copies.remove.back")]} danger
          action={t("action.copy.remove")} close={() => setRemoving("")} act={async () => {
            await data(client.DELETE("/v2/stores/{store_id}/{image_id}", { params: { path: { store_id: removing, image_id: image.id } } }));
            say(t("done.copyremoved", { store: removing }));
            changed();
          }} />
      )}
    </Section>
  );
}

function CopyDialog({ image, others, close, changed }: { image: Image; others: string[]; close: () => void; changed: () => void }): JSX.Element {
  const [chosen, setChosen] = useState<string[]>(others.slice(0, 1));
  return (
    <Confirm title={t("copies.add.title", { name: image.name || image.id })} effects={[t("copies.add.effect", { size: bytes(image.size) }), t("copies.add.meanwhile")]} action={t("action.copyto")}
      close={close} act={async () => {
        if (!chosen.length) throw new ApiError(-2, t("copies.add.nothing"));
        await data(client.POST("/v2/images/{image_id}/import", { params: { path: { image_id: image.id } }, body: { method: { name: "copy-image" }, stores: chosen } as never }));
        say(t("done.copying"));
        changed();
      }}>
      <fieldset>
        <legend>{t("copies.add.stores")}</legend>
        {others.map((x) => (
          <Check key={x} label={x} checked={chosen.includes(x)} onInput={(on) => setChosen(on ? [...chosen, x] : chosen.filter((each) => each !== x))} />
        ))}
      </fieldset>
    </Confirm>
  );
}

function Cached({ image, may }: { image: Image; may: May }): JSX.Element | null {
  const found = useQuery(may("cache_list") && image.status === "active" ? `cache ${image.id}` : null, async () => {
    try {
      return await data(client.GET("/v2/cache", {}));
    } catch (error) {
      if (error instanceof ApiError && [403, 404].includes(error.status)) return null; // there is no cache
      throw error;
    }
  });
  if (!found.data) return null;
  const entry = found.data.cached_images.find((x) => x.image_id === image.id);
  const queued = found.data.queued_images.includes(image.id);
  const path = { params: { path: { image_id: image.id } } };
  return (
    <div class="row between part">
      <span>
        <strong>{t("cache.title")}</strong>{" "}
        {entry ? (
          <>
            {t("cache.there", { hits: entry.hits })} <Time at={new Date(entry.last_accessed * 1000).toISOString()} />
          </>
        ) : (
          t(queued ? "cache.queued" : "cache.not")
        )}
      </span>
      {entry || queued
        ? may("cache_delete") && <Button onClick={async () => (await client.DELETE("/v2/cache/{image_id}", path), found.reload())}>{t("action.cache.drop")}</Button>
        : may("cache_image") && <Button onClick={async () => (await client.PUT("/v2/cache/{image_id}", path), found.reload())}>{t("action.cache.queue")}</Button>}
    </div>
  );
}

function Locations({ image, may }: { image: Image; may: May }): JSX.Element | null {
  const found = useQuery(may("fetch_image_location") && !image.locations ? `locations ${image.id}` : null, async () => {
    try {
      return await data(client.GET("/v2/images/{image_id}/locations", { params: { path: { image_id: image.id } } }));
    } catch (error) {
      if (error instanceof ApiError && [403, 404, 409].includes(error.status)) return [];
      throw error;
    }
  });
  const all = image.locations ?? found.data ?? [];
  if (!all.length) return null;
  return (
    <details class="part">
      <summary>{t("locations.title")}</summary>
      <ul class="list">
        {all.map((x) => (
          <li key={x.url}>
            <Copyable text={x.url} short />
          </li>
        ))}
      </ul>
    </details>
  );
}
