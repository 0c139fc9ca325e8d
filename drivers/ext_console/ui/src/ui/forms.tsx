/** Fields with labels and help, and dialogs. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../text.ts";
import { useAction } from "../query.ts";
import { Button, Trouble } from "./parts.tsx";

interface FieldProps {
  label: string;
  help?: ComponentChildren;
  wrong?: string;
  /** What the label names; gets the id, and the id of its help. */
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren;
}

export function Field({ label, help, wrong, children }: FieldProps): JSX.Element {
  const id = useId();
  const about = help || wrong ? `${id}-about` : "";
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...(about ? { "aria-describedby": about } : {}), ...(wrong ? { "aria-invalid": true } : {}) })}
      {about && (
        <p id={about} class={wrong ? "wrong" : "help"}>
          {wrong || help}
        </p>
      )}
    </div>
  );
}

interface TextProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  help?: ComponentChildren;
  wrong?: string;
  type?: string;
  required?: boolean;
  placeholder?: string;
  autocomplete?: string;
  list?: readonly string[];
  maxLength?: number;
  rows?: number;
  disabled?: boolean;
}

export function Text({ label, value, onInput, help, wrong, list, rows, autocomplete = "off", ...more }: TextProps): JSX.Element {
  const choices = useId();
  return (
    <Field label={label} help={help} {...(wrong ? { wrong } : {})}>
      {(ids) =>
        rows ? (
          <textarea {...ids} rows={rows} value={value} onInput={(e) => onInput(e.currentTarget.value)} required={more.required} placeholder={more.placeholder} />
        ) : (
          <>
            <input {...ids} {...more} value={value} autocomplete={autocomplete as never} list={list ? choices : undefined} onInput={(e) => onInput(e.currentTarget.value)} />
            {list && (
              <datalist id={choices}>
                {list.map((x) => (
                  <option key={x} value={x} />
                ))}
              </datalist>
            )}
          </>
        )
      }
    </Field>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  options: readonly (readonly [string, string])[];
  help?: ComponentChildren;
  disabled?: boolean;
}

export function Choice({ label, value, onInput, options, help, disabled }: ChoiceProps): JSX.Element {
  return (
    <Field label={label} help={help}>
      {(ids) => (
        <select {...ids} value={value} disabled={disabled} onChange={(e) => onInput(e.currentTarget.value)}>
          {options.map(([each, text]) => (
            <option key={each} value={each} selected={each === value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Check({ label, checked, onInput, help, disabled }: { label: string; checked: boolean; onInput: (value: boolean) => void; help?: string; disabled?: boolean }): JSX.Element {
  const id = useId();
  return (
    <div class="field check">
      <input type="checkbox" id={id} checked={checked} disabled={disabled} onChange={(e) => onInput(e.currentTarget.checked)} {...(help ? { "aria-describedby": `${id}-about` } : {})} />
      <label for={id}>{label}</label>
      {help && (
        <p class="help" id={`${id}-about`}>
          {help}
        </p>
      )}
    </div>
  );
}

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  wide?: boolean;
  /** It can't be closed without an answer. */
  firm?: boolean;
}

export function Dialog({ title, close, children, wide = false, firm = false }: DialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      shown?.close(); // the page behind takes no focus before that
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class={wide ? "wide" : ""} aria-labelledby={id} onCancel={(e) => (e.preventDefault(), firm || close())}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** What it will do, one sentence each. */
  effects: readonly string[];
  action: string;
  danger?: boolean;
  /** Asks for a reason, which `act` gets. */
  reason?: boolean;
  act: (reason: string) => Promise<unknown>;
  close: () => void;
  children?: ComponentChildren;
}

/** Says what an action will do, and does it. Stays open with what went wrong when it fails. */
export function Confirm({ title, effects, action, danger = false, reason = false, act, close, children }: ConfirmProps): JSX.Element {
  const [why, setWhy] = useState("");
  const doing = useAction(async () => act(why));
  return (
    <Dialog title={title} close={close}>
      <form
        onSubmit={async (e) => {
          e.preventDefault();
          if (await doing.run()) close();
        }}
      >
        <ul class="effects">
          {effects.map((x) => (
            <li key={x}>{x}</li>
          ))}
        </ul>
        {children}
        {reason && <Text label={t("field.reason")} value={why} onInput={setWhy} help={t("field.reason.help")} maxLength={1000} />}
        {doing.error && <Trouble error={doing.error} />}
        <p class="row end">
          <Button onClick={close}>{t("action.leave")}</Button>
          <Button type="submit" kind={danger ? "danger" : "main"} busy={doing.busy}>
            {action}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
