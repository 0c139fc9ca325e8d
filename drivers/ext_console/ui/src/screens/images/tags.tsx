import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import type { May } from "../../permissions.ts";
import { useAction } from "../../query.ts";
import { t } from "../../text.ts";
import { Text } from "../../ui/forms.tsx";
import { Button, Section, Trouble } from "../../ui/parts.tsx";
import type { Image } from "./model.ts";

export function Tags({ image, may, changed }: { image: Image; may: May; changed: () => void }): JSX.Element {
  const [word, setWord] = useState("");
  const path = (tag: string): { params: { path: { image_id: string; tag: string } } } => ({ params: { path: { image_id: image.id, tag } } });
  const change = useAction(async (tag: string, add: boolean) => {
    await data(add ? client.PUT("/v2/images/{image_id}/tags/{tag}", path(tag)) : client.DELETE("/v2/images/{image_id}/tags/{tag}", path(tag)));
    setWord("");
    changed();
  });
  const mayChange = may("modify_image");
  return (
    <Section title={t("image.tags")}>
      {!image.tags.length && <p class="muted">{t("tags.none")}</p>}
      <ul class="row tags">
        {image.tags.map((x) => (
          <li key={x} class="badge">
            <a href={`/console/images?tag=${encodeURIComponent(x)}`}>{x}</a>
            {mayChange && (
              <button type="button" class="button quiet small" disabled={change.busy} onClick={() => void change.run(x, false)} aria-label={t("action.tag.remove", { tag: x })}>
                ×
              </button>
            )}
          </li>
        ))}
      </ul>
      {mayChange && (
        <form class="row bottom" onSubmit={(e) => (e.preventDefault(), word.trim() && void change.run(word.trim(), true))}>
          <Text label={t("tags.add")} value={word} onInput={setWord} maxLength={255} />
          <Button type="submit" busy={change.busy}>
            {t("action.add")}
          </Button>
        </form>
      )}
      {change.error && <Trouble error={change.error} />}
    </Section>
  );
}
