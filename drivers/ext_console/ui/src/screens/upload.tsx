/** Upload files: several at once, each goes on where it broke off. */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { session } from "../api/session.ts";
import { bytes, clock } from "../format.ts";
import { stores, takes } from "../info.ts";
import { usePermissions } from "../permissions.ts";
import { useAction, useQuery } from "../query.ts";
import { t, tn, tw } from "../text.ts";
import { Choice, Field, Text } from "../ui/forms.tsx";
import { Badge, Button, Note, Progress, Screen, Section, Trouble, type Tone } from "../ui/parts.tsx";
import { algorithmOf } from "../uploads/digest.ts";
import { formatOfFile, nameOf } from "../uploads/formats.ts";
import { items, type Item, type State, type Wanted } from "../uploads/state.ts";
import { add, cancel, decide, dismiss, pause, resume } from "../uploads/uploads.ts";

const FORMATS = ["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx", "ploop", "ami", "ari", "aki"];
const CONTAINERS = ["bare", "ovf", "ova", "docker", "ami", "ari", "aki", "compressed"];

interface Chosen {
  key: number;
  file: File;
  name: string;
  disk_format: string;
  digest: string;
}

let lastKey = 0;

export function UploadScreen(): JSX.Element {
  const may = usePermissions();
  const [chosen, setChosen] = useState<Chosen[]>([]);
  const [common, setCommon] = useState({ container_format: "bare", visibility: "shared", tags: "", min_disk: "0", min_ram: "0", store: "" });
  const places = useQuery("stores", () => stores());
  const take = async (files: Iterable<File>): Promise<void> => {
    const more = await Promise.all([...files].map(async (file) => ({ key: ++lastKey, file, name: nameOf(file.name), disk_format: await formatOfFile(file, file.name), digest: "" })));
    setChosen((was) => [...was, ...more]);
  };
  const begin = (): void => {
    const { container_format, visibility, tags, min_disk, min_ram, store } = common;
    for (const { file, name, disk_format, digest } of chosen) {
      const wanted: Wanted = { name, disk_format, container_format, visibility, store, digest: digest.trim().toLowerCase(), min_disk: Number(min_disk), min_ram: Number(min_ram),
        tags: tags.split(",").map((x) => x.trim()).filter(Boolean) };
      void add(file, wanted);
    }
    setChosen([]);
  };
  const set = (name: keyof typeof common) => (value: string) => setCommon({ ...common, [name]: value });
  const change = (key: number, what: Partial<Chosen>): void => setChosen(chosen.map((x) => (x.key === key ? { ...x, ...what } : x)));
  const wrong = chosen.some((x) => x.digest.trim() && !algorithmOf(x.digest.trim()));
  const visible = (["private", "shared", "community", "public"] as const).filter((x) => (x !== "public" || may("publicize_image")) && (x !== "community" || may("communitize_image")));
  const tus = Boolean(session.value?.service.upload.tus);
  return (
    <Screen title={t("upload.title")} about={t(tus ? "upload.about" : "upload.about.plain")}>
      <DropArea take={take} />
      {chosen.length > 0 && (
        <form onSubmit={(e) => (e.preventDefault(), begin())}>
          <Section title={tn("upload.chosen", chosen.length)}>
            <ul class="list">
              {chosen.map((x) => (
                <li key={x.key} class="filebox">
                  <p class="row between">
                    <span>
                      <strong>{x.file.name}</strong> <span class="muted">{bytes(x.file.size)}</span>
                    </span>
                    <Button kind="quiet" onClick={() => setChosen(chosen.filter((each) => each !== x))} aria-label={t("action.file.remove", { name: x.file.name })}>
                      {t("action.remove")}
                    </Button>
                  </p>
                  <div class="filters">
                    <Text label={t("image.name")} value={x.name} onInput={(name) => change(x.key, { name })} maxLength={255} />
                    <Choice label={t("image.disk_format")} value={x.disk_format} onInput={(disk_format) => change(x.key, { disk_format })} options={FORMATS.map((f) => [f, f])} />
                    <Text label={t("upload.digest")} value={x.digest} onInput={(digest) => change(x.key, { digest })} help={t("upload.digest.help")}
                      {...(x.digest.trim() && !algorithmOf(x.digest.trim()) ? { wrong: t("digest.unknown") } : {})} />
                  </div>
                </li>
              ))}
            </ul>
          </Section>
          <Section title={t("upload.forall")}>
            <div class="filters">
              <Choice label={t("image.visibility")} value={common.visibility} onInput={set("visibility")} options={visible.map((x) => [x, t(`visibility.${x}.means`)])} />
              <Choice label={t("image.container_format")} value={common.container_format} onInput={set("container_format")} options={CONTAINERS.map((x) => [x, x])} />
              {(places.data?.length ?? 0) > 1 && (
                <Choice label={t("upload.store")} value={common.store} onInput={set("store")}
                  options={[["", t("store.usual")], ...(places.data ?? []).filter(takes).map((x) => [x.id, x.id] as const)]} />
              )}
              <Text label={t("image.tags")} value={common.tags} onInput={set("tags")} help={t("upload.tags.help")} />
              <Text label={t("image.min_disk.gib")} type="number" value={common.min_disk} onInput={set("min_disk")} />
              <Text label={t("image.min_ram.mib")} type="number" value={common.min_ram} onInput={set("min_ram")} />
            </div>
          </Section>
          <p class="row end">
            <Button onClick={() => setChosen([])}>{t("upload.clear")}</Button>
            <Button type="submit" kind="main" disabled={wrong || !may("add_image")}>
              {tn("action.upload.files", chosen.length)}
            </Button>
          </p>
        </form>
      )}
      {items.value.length > 0 && (
        <Section title={t("upload.list")}>
          <ul class="list" aria-live="off">
            {items.value.map((x) => (
              <li key={x.id}>
                <OneUpload item={x} />
              </li>
            ))}
          </ul>
        </Section>
      )}
    </Screen>
  );
}

function DropArea({ take }: { take: (files: Iterable<File>) => Promise<void> }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  return (
    <div
      class={`drop ${over ? "over" : ""}`}
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => {
        e.preventDefault();
        setOver(false);
        void take(e.dataTransfer?.files ?? []);
      }}
    >
      <p>{t("upload.drop")}</p>
      <Field label={t("upload.choose")}>
        {(ids) => (
          <input {...ids} ref={input} type="file" multiple onChange={(e) => {
            void take(e.currentTarget.files ?? []);
            e.currentTarget.value = "";
          }} />
        )}
      </Field>
    </div>
  );
}

const TONE: Record<State, Tone> = { waiting: "plain", found: "warn", making: "busy", sending: "busy", paused: "warn", broken: "warn", finishing: "busy", done: "good", failed: "bad", cancelled: "plain" };

function OneUpload({ item }: { item: Item }): JSX.Element {
  const giveUp = useAction(() => cancel(item.id));
  const left = item.speed > 0 ? (item.file.size - item.sent) / item.speed : null;
  const goes = ["waiting", "making", "sending", "broken"].includes(item.state);
  return (
    <article class="task" data-state={item.state} aria-label={item.wanted.name}>
      <p class="row">
        {item.image ? <a href={`/console/images/${item.image}`}>{item.wanted.name || item.image}</a> : <strong>{item.wanted.name}</strong>}
        <Badge tone={TONE[item.state]}>{tw("upload.state", item.state)}</Badge>
        {item.resumed > 0 && <span class="muted">{tn("upload.resumed", item.resumed)}</span>}
      </p>
      {!["done", "cancelled", "found"].includes(item.state) && <Progress done={item.sent} total={item.file.size} label={t("upload.progress", { name: item.wanted.name })} />}
      {item.state === "sending" && item.speed > 0 && (
        <p class="muted">
          {t("upload.speed", { speed: bytes(item.speed) })} {left !== null && t("upload.left", { time: clock(left) })}
        </p>
      )}
      {item.state === "found" && <p>{t("upload.found")}</p>}
      {item.state === "finishing" && <p class="muted">{t("upload.finishing")}</p>}
      {item.state === "broken" && <Note tone="warn" role="status">{t(item.error?.status === 401 ? "upload.login" : "upload.broken")}</Note>}
      {item.state === "failed" && item.error && <Trouble error={item.error} title={t("upload.failed")} />}
      {item.verdict && <Note tone="good">{item.verdict}</Note>}
      {giveUp.error && <Trouble error={giveUp.error} />}
      <p class="row">
        {goes && item.state !== "waiting" && <Button onClick={() => pause(item.id)}>{t("action.pause")}</Button>}
        {item.state === "paused" && <Button kind="main" onClick={() => resume(item.id)}>{t("action.resume")}</Button>}
        {item.state === "failed" && <Button onClick={() => resume(item.id)}>{t("action.again")}</Button>}
        {item.state === "found" && (
          <>
            <Button kind="main" onClick={() => void decide(item.id, true)}>{t("action.goon")}</Button>
            <Button onClick={() => void decide(item.id, false)}>{t("action.anew")}</Button>
          </>
        )}
        {["waiting", "making", "sending", "broken", "paused", "failed"].includes(item.state) && (
          <Button kind="quiet" busy={giveUp.busy} onClick={() => void giveUp.run()} title={t("upload.cancel.means")}>
            {t("action.giveup")}
          </Button>
        )}
        {["done", "cancelled"].includes(item.state) && <Button kind="quiet" onClick={() => dismiss(item.id)}>{t("action.dismiss")}</Button>}
      </p>
    </article>
  );
}
