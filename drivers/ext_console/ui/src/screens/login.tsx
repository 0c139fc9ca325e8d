/** Log in, by one of the ways that the operator has chosen. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { login, session, type LoginField, type LoginMethod } from "../api/session.ts";
import { useAction } from "../query.ts";
import { has, t } from "../text.ts";
import { Text } from "../ui/forms.tsx";
import { Button, Note, Trouble } from "../ui/parts.tsx";

const SECRET = /password|secret/;
const AUTOCOMPLETE: Record<string, string> = { username: "username", user: "username", name: "username", password: "current-password" };

function fieldsOf(method: LoginMethod): LoginField[] {
  return method.fields.map((x) => (typeof x === "string" ? { name: x } : x));
}

export function Login({ again = false }: { again?: boolean }): JSX.Element {
  const methods = session.value?.methods ?? [];
  const [chosen, setChosen] = useState(0);
  const method = methods[chosen] ?? methods[0];
  const content = (
    <>
      {!methods.length && <Note tone="bad">{t("login.none")}</Note>}
      {methods.length > 1 && (
        <div class="row tabs" role="group" aria-label={t("login.how")}>
          {methods.map((x, i) => (
            // several may be of one kind: each protocol of a company's account is one
            <Button key={i} kind="quiet" aria-pressed={x === method} onClick={() => setChosen(i)}>
              {x.label || t(`login.method.${x.name}`)}
            </Button>
          ))}
        </div>
      )}
      {method && <Form key={chosen} method={method} />}
    </>
  );
  if (again) return content;
  return (
    <main class="alone" id="content">
      <h1>{t("login.title")}</h1>
      <p class="muted">{t("login.about")}</p>
      {content}
    </main>
  );
}

function Form({ method }: { method: LoginMethod }): JSX.Element {
  const fields = fieldsOf(method);
  const asksNothing = !fields.length && !method.url;
  const [values, setValues] = useState<Record<string, string>>(Object.fromEntries(fields.map((x) => [x.name, x.value ?? ""])));
  const entering = useAction(() => login(method.name, Object.fromEntries(Object.entries(values).filter(([, x]) => x !== ""))));
  useEffect(() => {
    if (asksNothing && session.value?.methods.length === 1) void entering.run();
  }, []);
  if (method.url) {
    return (
      <p>
        <a class="button main" href={method.url} target="_top">
          {t("login.websso")}
        </a>
      </p>
    );
  }
  return (
    <form
      class="login"
      onSubmit={(e) => {
        e.preventDefault();
        void entering.run();
      }}
    >
      {fields.map((x) => (
        <Text key={x.name} label={x.label ?? (has(`login.field.${x.name}`) ? t(`login.field.${x.name}` as never) : x.name)} value={values[x.name] ?? ""}
          type={(x.secret ?? SECRET.test(x.name)) ? "password" : "text"} required={x.required ?? true} autocomplete={AUTOCOMPLETE[x.name] ?? "off"}
          onInput={(value) => setValues({ ...values, [x.name]: value })} />
      ))}
      {!fields.length && <p>{t(method.name === "proxy" ? "login.proxy" : "login.open")}</p>}
      {entering.error && <Trouble error={entering.error} title={t("login.refused")} />}
      <Button type="submit" kind="main" busy={entering.busy}>
        {t("action.login")}
      </Button>
    </form>
  );
}
