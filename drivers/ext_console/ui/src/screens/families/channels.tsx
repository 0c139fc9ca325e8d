/** Channels of a family: what they point to, promoted, rolled back, pinned; and who moved them when and why. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { useQuery } from "../../query.ts";
import { t, tw } from "../../text.ts";
import { Choice, Confirm, Text } from "../../ui/forms.tsx";
import { Badge, Button, Loading, Section, Time, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import type { Whole } from "./family.tsx";
import type { Channel } from "./model.ts";

interface Props {
  whole: Whole;
  mayMove: boolean;
  mayInspect: boolean;
  changed: () => void;
}

type Open = { what: "promote" | "rollback" | "pin" | "unpin" | "delete" | "history"; channel: Channel | null } | null;

export function Channels({ whole, mayMove, mayInspect, changed }: Props): JSX.Element {
  const [open, setOpen] = useState<Open>(null);
  const close = (): void => setOpen(null);
  return (
    <Section title={t("channels.title")} actions={mayMove && whole.versions.length > 0 && <Button kind="main" onClick={() => setOpen({ what: "promote", channel: null })}>{t("action.promote")}</Button>}>
      {!whole.channels.length && <p class="muted">{t("channels.none")}</p>}
      <ul class="list">
        {whole.channels.map((x) => (
          <li key={x.name}>
            <div class="row between">
              <span class="row">
                <strong>{x.name}</strong>
                <span aria-hidden="true">→</span>
                <a href={`/console/images/${x.image_id}`}>{x.label}</a>
                {x.pinned && <Badge tone="warn">{t("channel.pinned")}</Badge>}
                <span class="muted">
                  <Time at={x.moved_at} />
                </span>
              </span>
              {x.name === "latest" ? (
                <span class="muted">{t("channel.latest")}</span>
              ) : (
                <span class="row">
                  {mayMove && !x.pinned && (
                    <>
                      <Button onClick={() => setOpen({ what: "promote", channel: x })}>{t("action.promote")}</Button>
                      <Button onClick={() => setOpen({ what: "rollback", channel: x })}>{t("action.rollback")}</Button>
                    </>
                  )}
                  {mayMove && <Button onClick={() => setOpen({ what: x.pinned ? "unpin" : "pin", channel: x })}>{t(x.pinned ? "action.unpin" : "action.pin")}</Button>}
                  {mayInspect && (
                    <Button aria-expanded={open?.what === "history" && open.channel?.name === x.name}
                      onClick={() => setOpen(open?.what === "history" && open.channel?.name === x.name ? null : { what: "history", channel: x })}>
                      {t("action.history")}
                    </Button>
                  )}
                  {mayMove && !x.pinned && <Button kind="quiet" onClick={() => setOpen({ what: "delete", channel: x })}>{t("action.channel.delete")}</Button>}
                </span>
              )}
            </div>
            {open?.what === "history" && open.channel?.name === x.name && <History family={whole.family.id} channel={x} />}
          </li>
        ))}
      </ul>
      {open?.what === "promote" && <Promote whole={whole} channel={open.channel} close={close} changed={changed} />}
      {open?.channel && ["rollback", "pin", "unpin", "delete"].includes(open.what) && <Move family={whole.family.id} channel={open.channel} what={open.what as "pin"} close={close} changed={changed} />}
    </Section>
  );
}

function Promote({ whole, channel, close, changed }: { whole: Whole; channel: Channel | null; close: () => void; changed: () => void }): JSX.Element {
  const usable = whole.versions.filter((x) => x.state === "current");
  const [name, setName] = useState(channel?.name ?? "stable");
  const [label, setLabel] = useState(usable.find((x) => x.label !== channel?.label)?.label ?? usable[0]?.label ?? "");
  const target = channel ?? whole.channels.find((x) => x.name === name) ?? null;
  const effects = [target ? t("promote.effect.from", { channel: name, from: target.label, to: label }) : t("promote.effect.new", { channel: name, to: label }),
    t("promote.effect.reference", { reference: `${whole.family.name}@${name}` })];
  return (
    <Confirm title={t("promote.title")} effects={effects} action={t("action.promote")} reason close={close} act={async (reason) => {
      await data(client.PUT("/families/{family_id}/channels/{channel}", { params: { path: { family_id: whole.family.id, channel: name } },
        body: { label, ...(reason ? { reason } : {}), ...(target?.revision != null ? { expected_revision: target.revision } : target ? {} : { expected_revision: 0 }) } }));
      say(t("done.promoted", { channel: name, label }));
      changed();
    }}>
      {channel === null && <Text label={t("channel.name")} value={name} onInput={setName} required list={whole.channels.map((x) => x.name).filter((x) => x !== "latest")} help={t("channel.name.help")} maxLength={32} />}
      <Choice label={t("version.label")} value={label} onInput={setLabel} options={usable.map((x) => [x.label, x.label])} help={t("promote.usable")} />
    </Confirm>
  );
}

function Move({ family, channel, what, close, changed }: { family: string; channel: Channel; what: "rollback" | "pin" | "unpin" | "delete"; close: () => void; changed: () => void }): JSX.Element {
  const path = { family_id: family, channel: channel.name };
  const act = async (reason: string): Promise<void> => {
    const body = { ...(reason ? { reason } : {}), ...(channel.revision != null ? { expected_revision: channel.revision } : {}) };
    if (what === "delete") await data(client.DELETE("/families/{family_id}/channels/{channel}", { params: { path } }));
    else if (what === "rollback") await data(client.POST("/families/{family_id}/channels/{channel}/actions/rollback", { params: { path }, body }));
    else if (what === "pin") await data(client.POST("/families/{family_id}/channels/{channel}/actions/pin", { params: { path }, body }));
    else await data(client.POST("/families/{family_id}/channels/{channel}/actions/unpin", { params: { path }, body }));
    say(t(`done.channel.${what}`, { channel: channel.name }));
    changed();
  };
  return (
    <Confirm title={t(`channel.${what}.title`, { channel: channel.name })} effects={[t(`channel.${what}.effect`, { channel: channel.name, label: channel.label })]}
      action={t(what === "delete" ? "action.channel.delete" : `action.${what}`)} danger={what === "delete"} reason={what !== "delete"} act={act} close={close} />
  );
}

function History({ family, channel }: { family: string; channel: Channel }): JSX.Element {
  const found = useQuery(`history ${family} ${channel.name} ${channel.revision}`, () =>
    data(client.GET("/families/{family_id}/channels/{channel}/history", { params: { path: { family_id: family, channel: channel.name } } })));
  if (found.error) return <Trouble error={found.error} retry={found.reload} />;
  if (!found.data) return <Loading />;
  return (
    <ol class="history" aria-label={t("history.label", { channel: channel.name })}>
      {found.data.moves.map((x) => (
        <li key={x.number}>
          <strong>{tw("move", x.action)}</strong> {t("history.fromto", { from: x.from ?? "–", to: x.to ?? "–" })}{" "}
          <span class="muted">
            <Time at={x.at} /> {x.user && t("history.by", { user: x.user })}
          </span>
          {x.reason && <p class="said">{x.reason}</p>}
        </li>
      ))}
    </ol>
  );
}
