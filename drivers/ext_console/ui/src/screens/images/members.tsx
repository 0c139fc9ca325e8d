/** Projects that an image is shared with. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { session } from "../../api/session.ts";
import type { May } from "../../permissions.ts";
import { useAction, useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Confirm, Text } from "../../ui/forms.tsx";
import { Button, Section, Status, Time, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import type { Image } from "./model.ts";

export function Members({ image, may }: { image: Image; may: May }): JSX.Element {
  const path = { image_id: image.id };
  const found = useQuery(`members ${image.id}`, () => data(client.GET("/v2/images/{image_id}/members", { params: { path } })));
  const [project, setProject] = useState("");
  const [removing, setRemoving] = useState("");
  const add = useAction(async () => {
    await data(client.POST("/v2/images/{image_id}/members", { params: { path }, body: { member: project.trim() } }));
    say(t("done.shared", { project: project.trim() }));
    setProject("");
    found.reload();
  });
  const answer = useAction(async (member: string, status: "accepted" | "rejected") => {
    await data(client.PUT("/v2/images/{image_id}/members/{member}", { params: { path: { ...path, member } }, body: { status } }));
    found.reload();
  });
  const me = session.value?.project?.id;
  const mine = image.owner === me || session.value?.is_admin === true;
  const members = found.data?.members ?? [];
  return (
    <Section title={t("members.title")}>
      {found.error && <Trouble error={found.error} retry={found.reload} />}
      {found.data && !members.length && <p class="muted">{t("members.none")}</p>}
      {members.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("members.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("members.project")}</th>
                <th scope="col">{t("members.status")}</th>
                <th scope="col">{t("members.since")}</th>
                <th scope="col">{t("actions")}</th>
              </tr>
            </thead>
            <tbody>
              {members.map((x) => (
                <tr key={x.member_id}>
                  <td>{session.value?.projects.find((each) => each.id === x.member_id)?.name ?? x.member_id}</td>
                  <td>
                    <Status word={x.status} kind="member" />
                  </td>
                  <td>
                    <Time at={x.created_at} />
                  </td>
                  <td>
                    <div class="row">
                    {x.member_id === me && may("modify_member") && (["accepted", "rejected"] as const).filter((each) => each !== x.status).map((each) => (
                      <Button key={each} busy={answer.busy} onClick={() => void answer.run(x.member_id, each)}>
                        {t(each === "accepted" ? "action.accept" : "action.reject")}
                      </Button>
                    ))}
                    {mine && may("delete_member") && <Button onClick={() => setRemoving(x.member_id)}>{t("action.remove")}</Button>}
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {answer.error && <Trouble error={answer.error} />}
      {mine && may("add_member") && (
        <form class="row bottom" onSubmit={(e) => (e.preventDefault(), void add.run())}>
          <Text label={t("members.add")} value={project} onInput={setProject} help={t("members.add.help")} required maxLength={255} />
          <Button type="submit" busy={add.busy}>
            {t("action.share")}
          </Button>
        </form>
      )}
      {add.error && <Trouble error={add.error} />}
      {removing && (
        <Confirm title={t("members.remove.title", { project: removing })} effects={[t("members.remove.effect"), t("members.remove.running")]} action={t("action.remove")} danger
          close={() => setRemoving("")} act={async () => {
            await data(client.DELETE("/v2/images/{image_id}/members/{member}", { params: { path: { ...path, member: removing } } }));
            found.reload();
          }} />
      )}
    </Section>
  );
}
