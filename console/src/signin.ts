import { byId } from "./dom.js";

const KEY = "chaincast.token";

/** Return the token that was entered in this tab, or null. */
export function storedToken(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Show the sign-in button and dialog if clients can authenticate. A token stays in this tab and is sent only to the stack. */
export function signIn(auth: string): void {
  const button = byId<HTMLButtonElement>("sign-in");
  const dialog = byId<HTMLDialogElement>("sign-in-dialog");
  const field = byId<HTMLTextAreaElement>("token");
  button.hidden = auth === "off";
  button.addEventListener("click", () => dialog.showModal());
  byId("sign-in-form").addEventListener("submit", () => {
    const token = field.value.trim();
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
    location.reload();
  });
  byId("sign-in-cancel").addEventListener("click", () => dialog.close());
  if (auth === "required" && storedToken() === null) dialog.showModal();
}
